// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// start shows what is asked and why. It calls nobody: links, previews and prefetches cost nothing (TM-053).
func (v *visitRequest) start() {
	query := v.r.URL.Query()
	token, ok := v.openVisit(query.Get("v"), v.now)
	if !ok {
		token = visit{Gate: v.gate.id, ReturnTo: "/", Made: v.now.UTC()}
	}
	token = v.atGate(token)
	token.ReturnTo = chosenReturn(query, token.ReturnTo)
	if _, ok := v.app.gates.get(token.Gate).bound(v.r); !ok {
		v.unbound(token)
		return
	}
	v.startPage(token, false)
}

// atGate is the visit, at a gate that this config has: one that began under another config goes on here, to where it was going. Who
// gets there has still to satisfy the gate that stands there.
func (v *visitRequest) atGate(token visit) visit {
	if v.app.gates.get(token.Gate) == nil {
		token.Gate, token.Made = v.gate.id, v.now.UTC()
	}
	return token
}

// unbound says that bind has nobody to compare the card with, so nothing can be started.
func (v *visitRequest) unbound(token visit) {
	v.log(zapcore.WarnLevel, "no verification started: bind has no value; let another login stand before verified_id, for /.verified-id/* too")
	v.cannotStart(token, page.ProblemUnbound)
}

// cannotStart says why, and leads back to the start for when that is mended.
func (v *visitRequest) cannotStart(token visit, kind string) {
	v.vector, v.popup = token.Vector, popupOf(token.ReturnTo)
	if v.vector == "" {
		v.vector = newVector()
	}
	meta := v.meta()
	meta.StartPath = v.startPath(token)
	v.app.pages.Problem(v.w, page.Problem{Meta: meta, Kind: kind})
}

// startPath leads to the start page with the visit as it was when it began.
func (v *visitRequest) startPath(token visit) string {
	token.Browser = "" // that is for forms
	return basePath + "/start?v=" + url.QueryEscape(v.sealVisit(token))
}

// startPage shows the start page for a visit and gives the browser its binding secret, or says that nothing can be started here.
func (v *visitRequest) startPage(token visit, fromPartner bool) {
	gate := v.app.gates.get(token.Gate)
	if !gate.startsFrom(v.r) {
		v.outside(token)
		return
	}
	j, underway := v.openJourney(v.r, v.now)
	if w, wanted := gate.want(j.Credential); !underway || !wanted || !slices.Contains(w.credential.partners, j.Partner) {
		j, underway = journey{}, false
	}
	if token.Vector == "" && underway { // another tab, or the browser was closed: still the same person's way in
		token.Vector = j.Visit.Vector
	}
	if token.Vector == "" {
		token.Vector = newVector()
	}
	v.vector, v.popup = token.Vector, popupOf(token.ReturnTo)
	binding, err := v.bind(v.w, v.r)
	if err != nil {
		v.problem(page.ProblemInternal)
		return
	}
	token.Browser = shortHash(binding)
	limit, age := v.ages(gate)
	p := page.Start{
		MaxAge: limit, Age: age, Meta: v.meta(), Token: v.sealVisit(token), Choices: gate.choices(), Reason: token.Reason,
		SameDeviceOnly: v.app.Session.SameDeviceOnly, Destination: v.destination(token.ReturnTo),
	}
	if underway {
		p.Partner = v.app.partners[j.Partner].displayName
	}
	if fromPartner {
		v.app.pages.Returned(v.w, p)
		return
	}
	v.app.pages.Start(v.w, p)
}

// destination is where the visitor is going, without the query, which may hold what nobody should read over a shoulder.
func (v *visitRequest) destination(returnTo string) string {
	u, err := url.Parse(returnTo)
	if err != nil || popupOf(returnTo) != "" { // an app's window knows better where the person was
		return v.shownHost()
	}
	return v.shownHost() + u.EscapedPath()
}

// shownHost is the site's host, and its port where that is part of its address.
func (s *site) shownHost() string {
	_, host, _ := strings.Cut(s.origin.url, "://")
	return host
}

// ages are how old a presentation may be at this gate, and how old the newest one is that it would take. 0: no limit, or none.
func (v *visitRequest) ages(gate *Gate) (limit, age time.Duration) {
	held, _ := v.openSession(v.r, v.now)
	if held == nil {
		return 0, 0
	}
	var newest time.Time
	for i := range held.Presentations {
		p := &held.Presentations[i]
		if _, ok := gate.want(p.Credential); ok && p.VerifiedAt.After(newest) {
			newest = p.VerifiedAt
		}
	}
	if newest.IsZero() {
		return 0, 0
	}
	return time.Duration(gate.MaxAge), v.now.Sub(newest)
}

// choices are the credentials that satisfy this gate, as pages show them.
func (g *Gate) choices() []page.Choice {
	out := make([]page.Choice, 0, len(g.wants))
	for _, w := range g.wants {
		out = append(out, g.choice(w))
	}
	return out
}

func (g *Gate) choice(w want) page.Choice {
	c := page.Choice{
		Credential: w.credential.name, Name: w.credential.shownName(), Purpose: w.requirement.Purpose,
		FaceCheck: w.requirement.FaceCheck != nil, Particular: g.Bind != nil || len(w.requirement.Constraints) > 0,
	}
	for _, name := range w.credential.partners {
		p := g.app.partners[name]
		c.Partners = append(c.Partners, page.Partner{Name: name, DisplayName: p.displayName, Note: p.note})
	}
	return c
}

// partnerOrigins are where our forms may lead (TM-092).
func (a *App) partnerOrigins() []string {
	var out []string
	for _, p := range a.partners {
		if !slices.Contains(out, p.origin) {
			out = append(out, p.origin)
		}
	}
	slices.Sort(out)
	return out
}

// maxCodes is how many codes one visit may show (TM-038): the first and three new ones.
const maxCodes = 4

// request makes a transaction and asks the Request Service for a presentation: the first step that costs anything.
func (v *visitRequest) request() {
	if !v.form() {
		return
	}
	token, binding, ok := v.formVisit()
	if !ok {
		return
	}
	gate := v.app.gates.get(token.Gate)
	if gate == nil {
		v.cannotStart(token, page.ProblemExpired)
		return
	}
	if !gate.startsFrom(v.r) {
		v.app.metrics.starts.WithLabelValues("outside").Inc()
		v.outside(token)
		return
	}
	w, ok := gate.want(v.r.PostFormValue("credential"))
	if !ok {
		v.problem(page.ProblemBadRequest)
		return
	}
	bound, ok := gate.bound(v.r)
	if !ok {
		v.unbound(token)
		return
	}
	codes := token.Codes
	if previous := v.ownTransaction(v.r.PostFormValue("t"), binding); previous != nil {
		codes = max(codes, previous.Renewals)
	}
	if codes >= maxCodes {
		v.app.metrics.starts.WithLabelValues("limited").Inc()
		v.problemAfter(page.ProblemLimited, time.Minute)
		return
	}
	if wait, ok := v.mayStart(); !ok {
		v.app.metrics.starts.WithLabelValues("limited").Inc()
		v.problemAfter(page.ProblemLimited, wait)
		return
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), patience.Start)
	defer cancel()
	if !v.known(ctx, w) {
		v.app.metrics.starts.WithLabelValues("manifest").Inc()
		v.problemAfter(page.ProblemUnavailable, time.Minute)
		return
	}
	t := v.newTransaction(token, binding, gate.requirement(w, bound))
	t.Renewals = codes + 1
	if wait, ok := v.reserveFaceCheck(&t); !ok {
		v.app.metrics.starts.WithLabelValues("budget").Inc()
		v.problemAfter(page.ProblemBudget, wait)
		return
	}
	if !v.begin(ctx, t, gate) {
		v.app.faceChecks.release(t.ID)
	}
}

// mayStart takes one start of the client's share and of everybody's. Who has used up their Face Checks, which cost money
// passed or failed, must wait too (TM-121).
func (v *visitRequest) mayStart() (time.Duration, bool) {
	if wait, ok := v.app.limiter.clients.has(clientOf(v.r), v.now); !ok {
		return wait, false
	}
	if wait, ok := v.app.limiter.starts.allow(clientOf(v.r), v.now); !ok {
		return wait, false
	}
	if !v.app.limiter.all.AllowN(v.now, 1) {
		return time.Second, false
	}
	return 0, true
}

func (v *visitRequest) newTransaction(token visit, binding []byte, requirement verifier.Requirement) verifier.Transaction {
	return verifier.Transaction{
		ID: randomText(16), State: randomText(24), Status: verifier.StatusCreated,
		BindingHash: binding, Requirement: requirement, Gate: token.Gate, ReturnTo: token.ReturnTo,
		Client: clientOf(v.r), CorrelationVector: token.Vector, Created: v.now.UTC(),
		Expires: v.now.Add(codeLifetime).UTC(), CrossDevice: !v.app.Session.SameDeviceOnly,
	}
}

// codeLifetime is how long the service lets a code live; it says so itself in its answer.
const codeLifetime = 5 * time.Minute

// begin stores the transaction, calls the service and shows the code. The record exists before the call, so that a fast
// wallet never meets a half-made one (TM-049). It returns whether there is a code.
func (v *visitRequest) begin(ctx context.Context, t verifier.Transaction, gate *Gate) bool {
	key := newCallbackKey(&t)
	switch err := v.app.store.Create(ctx, t); {
	case errors.Is(err, verifier.ErrFull), errors.Is(err, verifier.ErrClientFull):
		v.app.metrics.starts.WithLabelValues("full").Inc()
		v.problemAfter(page.ProblemBusy, time.Minute)
		return false
	case err != nil:
		v.app.metrics.starts.WithLabelValues("store").Inc()
		v.storeProblem(err, "storing a transaction")
		return false
	}
	// What becomes of the call is stored in the time that is left.
	deadline, _ := ctx.Deadline()
	calling, cancel := context.WithDeadline(ctx, deadline.Add(-patience.Store))
	defer cancel()
	created, err := v.app.client.CreatePresentationRequest(calling, v.app.presentationRequest(&t, gate.site, key), nextVector(t.CorrelationVector))
	if err != nil {
		v.serviceProblem(err)
		if _, err := v.app.store.Update(context.WithoutCancel(ctx), t.ID, func(t *verifier.Transaction) error {
			return t.Fail(verifier.ReasonServiceRefused, v.now)
		}); err != nil {
			v.log(zapcore.WarnLevel, "closing a transaction", zap.Error(err))
		}
		return false
	}
	if _, err := v.app.store.Update(ctx, t.ID, func(t *verifier.Transaction) error {
		return t.Requested(created.RequestID, created.DeepLink, created.Expires)
	}); err != nil {
		v.storeProblem(err, "storing the request id")
		return false
	}
	v.app.faceChecks.hold(t.ID, created.Expires.Add(verifier.CallbackGrace))
	v.app.metrics.starts.WithLabelValues("started").Inc()
	v.event(eventRequested, map[string]any{"request_id": created.RequestID, "credential": t.Requirement.Credential})
	v.see("/wait?t=" + url.QueryEscape(t.ID))
	return true
}

// see sends the browser on to one of our pages after a form.
func (v *visitRequest) see(path string) {
	lockDown(v.w.Header())
	v.w.Header().Set("Location", basePath+path)
	v.w.WriteHeader(http.StatusSeeOther)
}

// presentationRequest is what we ask of the service. Nothing in it comes from the visitor's request (TM-046, TM-047).
func (a *App) presentationRequest(t *verifier.Transaction, s *site, key string) verifier.PresentationRequest {
	header, value := "Authorization", "Bearer "+key
	if a.CallbackHeader == "api-key" {
		header, value = "api-key", key
	}
	callback := s.origin
	if a.publicOrigin.url != "" {
		callback = a.publicOrigin
	}
	return verifier.PresentationRequest{
		Authority:    a.Authority,
		Registration: verifier.Registration{ClientName: a.ClientName, Purpose: t.Requirement.Purpose},
		Callback: verifier.CallbackTarget{
			URL: callback.url + basePath + "/callback", State: t.State, Headers: map[string]string{header: value},
		},
		RequestedCredentials: []verifier.RequestedCredential{t.Requirement.RequestedCredential()},
	}
}

// serviceProblem tells the visitor what they can do and the operator what to mend. Neither sees our request or the
// service's text in full (TM-052).
func (v *visitRequest) serviceProblem(err error) {
	var refused *verifier.ServiceError
	switch {
	case errors.Is(err, verifier.ErrBusy):
		v.app.metrics.starts.WithLabelValues("busy").Inc()
		v.log(zapcore.WarnLevel, "the Request Service asks to come later", zap.Error(err))
		v.problemAfter(page.ProblemBusy, max(verifier.RetryAfter(err), time.Second))
	case errors.As(err, &refused):
		v.app.metrics.starts.WithLabelValues("refused").Inc()
		v.log(zapcore.ErrorLevel, "the Request Service refused a request", zap.Int("status", refused.Status),
			zap.String("code", refused.InnerCode), zap.String("target", refused.Target),
			zap.String("service_request_id", refused.RequestID), zap.String("mscv", refused.MSCV),
			zap.String("mend", refused.Operator()))
		if refused.Visitor() == verifier.Busy {
			v.problemAfter(page.ProblemBusy, max(refused.RetryAfter, 10*time.Second))
			return
		}
		v.problem(page.ProblemUnavailable)
	default:
		v.app.metrics.starts.WithLabelValues("unreachable").Inc()
		v.log(zapcore.ErrorLevel, "calling the Request Service", zap.Error(err))
		v.problemAfter(page.ProblemUnavailable, 30*time.Second)
	}
}

func shortHash(binding []byte) string { return base64.RawURLEncoding.EncodeToString(binding[:12]) }
