// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// ownTransaction is a transaction that this browser started, or nil. The id says which of this browser's transactions is
// meant; by itself it opens nothing (TM-076).
func (v *visitRequest) ownTransaction(id string, binding []byte) *verifier.Transaction {
	if id == "" {
		return nil
	}
	t, err := v.app.store.Get(v.r.Context(), id)
	if err != nil || !v.owns(&t, binding) {
		return nil
	}
	return &t
}

// owns says whether this browser started the transaction, on this site: one store serves all sites (TM-021, TM-029).
func (v *visitRequest) owns(t *verifier.Transaction, binding []byte) bool {
	gate := v.app.gates.get(t.Gate)
	return sameBrowser(t.BindingHash, binding) && gate != nil && gate.site.origin == v.origin
}

// queryTransaction is ownTransaction for the pages that name it in their address. Where there is none, one answer serves
// wrong, missing and foreign alike.
func (v *visitRequest) queryTransaction() (*verifier.Transaction, bool) {
	binding, ok := v.boundTo(v.r)
	if !ok {
		return nil, false
	}
	t, err := v.app.store.Get(v.r.Context(), v.r.URL.Query().Get("t"))
	if errors.Is(err, verifier.ErrStoreUnavailable) {
		v.storeProblem(err, "reading a transaction")
		return nil, true
	}
	if err != nil || !v.owns(&t, binding) {
		return nil, false
	}
	v.vector, v.popup = t.CorrelationVector, popupOf(t.ReturnTo)
	return &t, true
}

// stateOf is what the visitor may know of a transaction: one word of a closed list (TM-077).
func stateOf(t *verifier.Transaction, now time.Time) string {
	switch {
	case t.Status == verifier.StatusCreated && now.After(t.Expires),
		t.Status == verifier.StatusRetrieved && now.After(t.CallbackDeadline()),
		t.Status == verifier.StatusVerified && now.After(t.FinishDeadline()):
		return page.StateExpired
	}
	return string(t.Status)
}

// wait shows the code, or what became of it.
func (v *visitRequest) wait() {
	t, found := v.queryTransaction()
	if t == nil {
		if !found {
			v.problem(page.ProblemExpired)
		}
		return
	}
	gate := v.app.gates.get(t.Gate)
	if gate == nil {
		v.problem(page.ProblemExpired)
		return
	}
	if t.DeepLink == "" && t.Status == verifier.StatusCreated { // the service has not answered yet
		v.problemAfter(page.ProblemBusy, time.Second)
		return
	}
	state := stateOf(t, v.now)
	if state == page.StateConsumed { // the back button after the way in
		v.see("/session")
		return
	}
	current, _ := gate.want(t.Requirement.Credential)
	var others []page.Choice
	for _, w := range gate.wants {
		if w.credential != current.credential {
			others = append(others, gate.choice(w))
		}
	}
	expiresIn := t.Expires.Sub(v.now)
	if t.Status == verifier.StatusRetrieved {
		expiresIn = t.CallbackDeadline().Sub(v.now)
	}
	p := page.Wait{
		Meta: v.meta(), Token: v.formToken(t), Transaction: t.ID, State: state, DeepLink: t.DeepLink,
		SameDeviceOnly: v.app.Session.SameDeviceOnly, ExpiresIn: max(expiresIn, 0), Others: others,
		CanRenew: t.Renewals < maxCodes, Reason: string(t.Reason), Destination: v.destination(t.ReturnTo),
	}
	if current.credential != nil {
		p.Choice = gate.choice(current)
	}
	if j, ok := v.openJourney(v.r, v.now); ok && j.Visit.Vector == t.CorrelationVector && v.app.partners[j.Partner] != nil {
		p.Partner = v.app.partners[j.Partner].displayName
	}
	p.StartPath = basePath + gate.startPath(t, v.now)
	v.app.pages.Wait(v.w, p)
}

// formToken is the page token for the forms of a transaction's pages.
func (v *visitRequest) formToken(t *verifier.Transaction) string {
	return v.sealVisit(visitOf(t, v.now))
}

func visitOf(t *verifier.Transaction, now time.Time) visit {
	return visit{
		Gate: t.Gate, ReturnTo: t.ReturnTo, Made: now.UTC(), Codes: t.Renewals,
		Vector: t.CorrelationVector, Browser: shortHash(t.BindingHash),
	}
}

// startPath leads back to the start page with the same destination.
func (g *Gate) startPath(t *verifier.Transaction, now time.Time) string {
	again := visit{Gate: g.id, ReturnTo: t.ReturnTo, Made: now.UTC(), Vector: t.CorrelationVector}
	return "/start?v=" + g.site.sealVisit(again)
}

// status is the state as JSON, for pages whose stream does not work.
func (v *visitRequest) status() {
	t := v.readable()
	if t == nil {
		return
	}
	v.privateHeaders("application/json")
	if _, ok := v.app.limiter.polls.allow(t.ID, v.now); !ok {
		v.w.Header().Set("Retry-After", "2")
		v.w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	body, err := json.Marshal(struct {
		State string `json:"state"`
		Retry int    `json:"retry"`
	}{stateOf(t, v.now), 1})
	if err != nil {
		return
	}
	v.write(body)
}

// readable is the transaction for the two endpoints that scripts read; others' scripts and browsers get one answer.
func (v *visitRequest) readable() *verifier.Transaction {
	if v.crossSite() {
		v.problem(page.ProblemForbidden)
		return nil
	}
	t, found := v.queryTransaction()
	if t == nil && !found {
		v.privateHeaders("application/json")
		v.w.WriteHeader(http.StatusNotFound)
	}
	return t
}

// privateHeaders are those of an answer for scripts of our pages only (TM-080, TM-104).
func (v *visitRequest) privateHeaders(mediaType string) {
	lockDown(v.w.Header())
	v.w.Header().Set("Content-Type", mediaType)
}

// endStreams lets the status streams end as soon as the server of this config begins to shut down. The config's own context
// comes too late: when the whole process ends, Caddy cancels it after its servers, which wait for the streams.
func (a *App) endStreams(ctx caddy.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok { // nobody is served, as by `caddy verified-id check`
		return
	}
	server.RegisterOnShutdown(a.close)
}

// events streams the state to the page. It ends with the transaction and with this config, after which the browser comes
// back by itself and finds the new one (TM-079).
func (v *visitRequest) events() {
	t := v.readable()
	if t == nil {
		return
	}
	if !v.app.limiter.openStream(t.ID) {
		v.w.Header().Set("Retry-After", "2")
		v.privateHeaders("application/json")
		v.w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer v.app.limiter.closeStream(t.ID)
	changes, err := v.app.store.Watch(v.r.Context(), t.ID)
	if err != nil {
		v.storeProblem(err, "watching a transaction")
		return
	}
	v.privateHeaders("text/event-stream")
	v.w.Header().Set("X-Accel-Buffering", "no")
	stream := http.NewResponseController(v.w)
	ticker := time.NewTicker(patience.StreamBeat)
	defer ticker.Stop()
	last := ""
	again := v.reread(&t) // a change before the watch began would go unnoticed
	for open, beat := true, false; ; {
		now := v.app.now()
		message := ""
		if beat {
			beat, message = false, ": still here\n\n"
		}
		if state := stateOf(t, now); state != last {
			retry := patience.StreamReturn + rand.N(patience.StreamSpread) //nolint:gosec // spreads the pages, hides nothing
			last, message = state, fmt.Sprintf("retry: %d\nevent: state\ndata: %s\n\n", retry.Milliseconds(), state)
		}
		if message != "" && !v.send(stream, message) || isLast(last) || !open {
			return
		}
		expiry := time.NewTimer(untilExpiry(t, now))
		select {
		case <-v.r.Context().Done():
			expiry.Stop()
			return
		case <-v.app.closing:
			expiry.Stop()
			return
		case <-ticker.C:
			beat = true
		case <-expiry.C:
		case <-again:
			again = v.reread(&t)
		case _, open = <-changes: // where nothing more is heard, the browser comes again
			again = v.reread(&t)
		}
		expiry.Stop()
	}
}

// reread looks at the transaction again. If the store does not answer, the returned channel says when to look once more: nobody
// else may tell of the change that it was to show.
func (v *visitRequest) reread(t **verifier.Transaction) <-chan time.Time {
	fresh, err := v.app.store.Get(v.r.Context(), (*t).ID)
	switch {
	case err == nil:
		*t = &fresh
	case errors.Is(err, verifier.ErrStoreUnavailable):
		return time.After(time.Second + rand.N(time.Second)) //nolint:gosec // spreads the pages, hides nothing
	}
	return nil
}

func (v *visitRequest) send(stream *http.ResponseController, message string) bool {
	// Not every server knows write deadlines; the heartbeat then finds a dead peer.
	if err := stream.SetWriteDeadline(time.Now().Add(patience.StreamWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return false
	}
	if _, err := v.w.Write([]byte(message)); err != nil {
		return false
	}
	if err := stream.Flush(); err != nil {
		v.log(zapcore.DebugLevel, "status stream", zap.Error(err))
		return false
	}
	return true
}

// isLast says whether nothing follows that a page needs to hear of.
func isLast(state string) bool {
	return state != page.StateCreated && state != page.StateRetrieved
}

// untilExpiry is when the state changes by the clock alone.
func untilExpiry(t *verifier.Transaction, now time.Time) time.Duration {
	deadline := t.Expires
	if t.Status == verifier.StatusRetrieved {
		deadline = t.CallbackDeadline()
	}
	return max(deadline.Sub(now), 0) + time.Second
}
