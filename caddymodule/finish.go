// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// finish takes the result, once, and gives this browser its session: only the browser that started the transaction, only
// under the policy of now, and to the place that was kept since the start (TM-029, TM-032, TM-074, TM-083).
func (v *visitRequest) finish() {
	if !v.form() {
		return
	}
	_, binding, ok := v.formVisit()
	if !ok {
		return
	}
	ctx := context.WithoutCancel(v.r.Context())
	t, err := v.app.store.Get(ctx, v.r.PostFormValue("t"))
	if err != nil || !v.owns(&t, binding) {
		if err == nil {
			err = verifier.ErrNotFound
		}
		v.storeProblem(err, "reading a transaction")
		return
	}
	v.vector, v.popup = t.CorrelationVector, popupOf(t.ReturnTo)
	var id string
	var first bool
	move := func(t *verifier.Transaction) error {
		var err error
		first = t.Status == verifier.StatusVerified
		id, err = t.Consume(sessionID(t), v.now)
		return err
	}
	demanded, err := v.app.stillDemanded(&t)
	if err != nil {
		v.storeProblem(err, "reading what a result is to be judged by")
		return
	}
	if !demanded {
		move = func(t *verifier.Transaction) error { return t.Refuse(verifier.ReasonPolicyChanged, v.now) }
	}
	taken, err := v.app.store.Update(ctx, t.ID, move)
	switch {
	case errors.Is(err, verifier.ErrStoreUnavailable):
		v.storeProblem(err, "taking a result")
		return
	case err != nil || taken.Status != verifier.StatusConsumed || taken.Presentation == nil:
		v.see("/wait?t=" + t.ID)
		return
	}
	v.enter(ctx, &taken, id, first)
}

// enter replaces whatever session the browser had, also one that rests, and leads on by a page instead of a redirect: browsers hold all
// redirects after a form, the app's own included, to the form-action of the page with the form.
//
// first is false for the repeat of a browser whose answer was lost, which starts nothing.
func (v *visitRequest) enter(ctx context.Context, t *verifier.Transaction, id string, first bool) {
	earlier := v.restingSession(v.r, v.now)
	before := earlier
	if earlier != nil && v.ended(earlier, v.now) != "" {
		before = nil // what has idled too long is ended and not carried on
	}
	if earlier != nil && earlier.ID != id {
		if err := v.endSession(ctx, earlier, endedByVerification); err != nil {
			v.storeProblem(err, "ending the earlier session")
			return
		}
	}
	fresh := v.newSession(id, t, before)
	header := v.w.Header()
	for {
		sealed := v.seal(fresh)
		if before != nil && !v.app.keys.sessions.Knows(before) { // its key was taken away meanwhile, and what it held with it
			before = nil
			fresh = v.newSession(id, t, nil)
			continue
		}
		err := v.session.Set(header, sealed, fresh.Expires.Sub(v.now))
		if err == nil {
			break
		}
		if len(fresh.Presentations) > 1 { // what was presented longest ago makes room
			v.log(zapcore.WarnLevel, "a presentation was dropped, and routes that need it will ask again: the session's cookie is full; keep fewer claims")
			fresh.Presentations = fresh.Presentations[1:]
			continue
		}
		v.log(zapcore.ErrorLevel, "the kept claims do not fit into a cookie; keep fewer", zap.Error(err))
		v.problem(page.ProblemInternal)
		return
	}
	v.journey.Clear(header)
	if first {
		v.app.metrics.sessions.Inc()
		v.event(eventSessionStarted, map[string]any{
			"request_id": t.RequestID, "subject": fresh.Subject, "credential": t.Requirement.Credential,
			"cross_device": t.CrossDevice, "session_id": id, "gate": t.Gate,
		})
	}
	v.app.pages.Onward(v.w, page.Onward{Meta: v.meta(), To: t.ReturnTo})
}

// Why a session has ended before its time, as the audit log says it. Nobody notices one that runs out.
const (
	endedByLogout       = "logout"
	endedByVerification = "replaced" // by the session of the browser's next verification
)

// endSession makes a session dead on the server, until all its cookies would have ended by themselves (TM-155): a repeated finish that
// did not bring the earlier session makes one that lasts longer. After an error it is dead for this process only.
func (v *visitRequest) endSession(ctx context.Context, held *session.Session, reason string) error {
	err := v.app.end(ctx, verifier.Revocation{
		Kind: verifier.RevokeSession, Value: held.ID,
		// A store that has lost the taking of the result gives the session once more, and then it ends that much later.
		Until: later(held.Expires, held.Created.Add(time.Duration(v.app.Session.Lifetime))).Add(verifier.FinishGrace + clockSkew),
		Since: v.now,
	})
	v.event(eventSessionEnded, map[string]any{"subject": held.Subject, "session_id": held.ID, "reason": reason})
	return err
}
