// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"maps"
	"mime"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// newCallbackKey makes the secret that the Request Service must bring back: 256 random bits of this transaction alone,
// with the look-up id in front so that it can be checked before the body is read (TM-054, TM-056). We keep a hash.
func newCallbackKey(t *verifier.Transaction) string {
	secret := randomText(32)
	hash := sha256.Sum256([]byte(secret))
	t.CallbackKeyHash = hash[:]
	return t.ID + "." + secret
}

const (
	// callbacksAtOnce bounds the memory that callbacks of up to 10 MiB take together.
	callbacksAtOnce = 32
	// smallCallback is a body that says to be no longer, as nearly all are. Those need not wait for the long ones.
	smallCallback        = 256 << 10
	smallCallbacksAtOnce = 256
)

// callbackSlots and smallCallbackSlots outlive reloads, as the memory does that they bound.
var (
	callbackSlots      = make(chan struct{}, callbacksAtOnce)
	smallCallbackSlots = make(chan struct{}, smallCallbacksAtOnce)
)

// callback is where the Request Service reports: the only way in which a transaction becomes verified. It answers 2xx only
// when the outcome is stored; the wallet waits for this answer and shows the holder an error otherwise.
func (v *visitRequest) callback() {
	v.privateHeaders("text/plain; charset=utf-8")
	t, status := v.authenticateCallback()
	if status == 0 {
		status = v.receive(t)
	}
	v.w.WriteHeader(status)
}

// authenticateCallback finds the transaction by the key in the header. Wrong, unknown and missing keys look alike, and
// cost alike (TM-058).
func (v *visitRequest) authenticateCallback() (verifier.Transaction, int) {
	key := v.r.Header.Get("Api-Key")
	if v.app.CallbackHeader == "authorization" {
		key, _ = strings.CutPrefix(v.r.Header.Get("Authorization"), "Bearer ")
	}
	id, secret, _ := strings.Cut(key, ".")
	hash := sha256.Sum256([]byte(secret))
	t, err := v.app.store.Get(v.r.Context(), id)
	if errors.Is(err, verifier.ErrStoreUnavailable) {
		if !v.left(err) {
			v.app.metrics.callbacks.WithLabelValues("store").Inc()
		}
		v.log(v.outageLevel(err), "reading a transaction", zap.Error(err))
		return t, http.StatusServiceUnavailable
	}
	expected := t.CallbackKeyHash
	if len(expected) != sha256.Size {
		expected = make([]byte, sha256.Size)
	}
	same := subtle.ConstantTimeCompare(hash[:], expected) == 1
	if err == nil && same && secret != "" && len(t.CallbackKeyHash) == sha256.Size {
		v.vector = t.CorrelationVector
		return t, 0
	}
	v.app.metrics.callbacks.WithLabelValues("unauthenticated").Inc()
	if _, ok := v.app.limiter.badKeys.allow(clientOf(v.r), v.now); !ok {
		return t, http.StatusTooManyRequests
	}
	return t, http.StatusUnauthorized
}

// receive reads the callback, decides and stores the decision.
func (v *visitRequest) receive(t verifier.Transaction) int {
	if mediaType, _, err := mime.ParseMediaType(v.r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" || v.r.Header.Get("Content-Encoding") != "" {
		v.app.metrics.callbacks.WithLabelValues("malformed").Inc()
		return http.StatusUnsupportedMediaType
	}
	slots, longest := callbackSlots, int64(verifier.MaxCallbackBytes)
	if v.r.ContentLength > 0 && v.r.ContentLength <= smallCallback {
		slots, longest = smallCallbackSlots, smallCallback
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-time.After(patience.Body):
		v.app.metrics.callbacks.WithLabelValues("crowded").Inc()
		return http.StatusServiceUnavailable
	case <-v.r.Context().Done():
		return http.StatusServiceUnavailable
	}
	if !v.readInTime() {
		return http.StatusServiceUnavailable
	}
	got, err := verifier.ParseCallback(http.MaxBytesReader(v.w, v.r.Body, longest), t.Requirement.NeededClaims())
	v.readWithoutHaste()
	if err != nil {
		v.spendFaceCheck(&t) // for all we know
		v.app.metrics.callbacks.WithLabelValues("malformed").Inc()
		v.log(zapcore.WarnLevel, "callback not understood", zap.String("error", err.Error()))
		return http.StatusBadRequest
	}
	switch err := t.Owns(got); {
	case errors.Is(err, verifier.ErrNotRequested): // the service was quicker than its own answer: let it come again
		v.app.metrics.callbacks.WithLabelValues("early").Inc()
		return http.StatusServiceUnavailable
	case err != nil:
		v.app.metrics.callbacks.WithLabelValues("foreign").Inc()
		v.log(zapcore.WarnLevel, "callback for another request")
		return http.StatusBadRequest
	}
	return v.record(t, got)
}

// record moves the transaction. Events that come late or twice change nothing and are answered 2xx, or the service would
// send them again and the holder see an error.
func (v *visitRequest) record(t verifier.Transaction, got verifier.Callback) int {
	var move func(*verifier.Transaction) error
	outcome := ""
	switch got.Status {
	case verifier.StatusRequestRetrieved:
		move = v.retrieved
	case verifier.StatusPresentationVerified:
		var err error
		if move, outcome, err = v.judge(t, got); err != nil { // let it come again, here or at a node that knows
			v.spendFaceCheck(&t)
			v.app.metrics.callbacks.WithLabelValues("store").Inc()
			v.log(zapcore.ErrorLevel, "a result came, and what it is to be judged by cannot be read", zap.Error(err))
			return http.StatusServiceUnavailable
		}
	case verifier.StatusPresentationError:
		reason := verifier.ReasonServiceRefused
		if got.Error != nil {
			reason = verifier.ReasonOfError(t.Requirement, *got.Error)
		}
		outcome = string(reason)
		move = func(t *verifier.Transaction) error { return t.Fail(reason, v.now) }
	default: // a status of the future (TM-064)
		v.app.metrics.callbacks.WithLabelValues("unknown_status").Inc()
		return http.StatusOK
	}
	if outcome != "" {
		v.spendFaceCheck(&t)
	}
	moved := false
	after, err := v.app.store.Update(context.WithoutCancel(v.r.Context()), t.ID, func(t *verifier.Transaction) error {
		before := t.Status
		err := move(t)
		moved = t.Status != before
		return err
	})
	switch {
	case errors.Is(err, verifier.ErrStoreUnavailable):
		v.app.metrics.callbacks.WithLabelValues("store").Inc()
		v.log(zapcore.ErrorLevel, "storing a callback", zap.Error(err))
		return http.StatusServiceUnavailable
	case errors.Is(err, verifier.ErrReplay):
		v.app.metrics.callbacks.WithLabelValues("replay").Inc()
		v.log(zapcore.ErrorLevel, "a different result came for a verified transaction", zap.String("request_id", t.RequestID))
		return http.StatusConflict
	case err != nil:
		v.app.metrics.callbacks.WithLabelValues("late").Inc()
		v.log(zapcore.InfoLevel, "callback without effect", zap.String("status", string(got.Status)), zap.String("error", err.Error()))
		return http.StatusOK
	}
	v.app.metrics.callbacks.WithLabelValues(string(got.Status)).Inc()
	if moved || outcome == "" { // the same outcome again is no news, another scan is
		v.tell(&after, got.Status, outcome)
	}
	return http.StatusOK
}

// retrieved counts a scan. Whose wallet came first nobody knows, so a second one ends the visit for both, where the operator
// wants that (TM-039).
func (v *visitRequest) retrieved(t *verifier.Transaction) error {
	if err := t.Retrieved(v.now); err != nil || t.Retrievals == 1 || !v.app.Session.CancelOnSecondScan {
		return err
	}
	return t.Refuse(scannedTwice, v.now)
}

// tell counts and reports what a callback has changed. A second scan of one code is worth a look: two wallets have seen it.
func (v *visitRequest) tell(t *verifier.Transaction, status verifier.RequestStatus, outcome string) {
	data := map[string]any{"request_id": t.RequestID, "credential": t.Requirement.Credential}
	if outcome != "" && t.Requirement.FaceCheck != nil {
		v.app.limiter.clients.allow(t.Client, v.now)
	}
	switch {
	case status == verifier.StatusRequestRetrieved:
		data["retrievals"] = t.Retrievals
		data["first_scan"] = t.RetrievedAt.UTC().Format(time.RFC3339)
		v.event(eventRetrieved, maps.Clone(data))
		if t.Reason == scannedTwice {
			v.app.metrics.outcomes.WithLabelValues(string(scannedTwice)).Inc()
			data["reason"] = string(scannedTwice)
			v.event(eventRefused, data)
		}
	case t.Status == verifier.StatusVerified:
		v.app.metrics.outcomes.WithLabelValues(outcome).Inc()
		data["subject"] = v.app.keys.subjectOf(t.Presentation.Subject)
		v.event(eventVerified, data)
	case outcome != "":
		v.app.metrics.outcomes.WithLabelValues(outcome).Inc()
		data["reason"] = outcome
		v.event(eventRefused, data)
	}
}

// judge compares what came with what was asked for, under the policy of now (TM-074). An error says that this policy is not known.
func (v *visitRequest) judge(t verifier.Transaction, got verifier.Callback) (move func(*verifier.Transaction) error, outcome string, err error) {
	demanded, err := v.app.stillDemanded(&t)
	if err != nil {
		return nil, "", err
	}
	refuse := func(reason verifier.Reason) (func(*verifier.Transaction) error, string, error) {
		return func(t *verifier.Transaction) error { return t.Refuse(reason, v.now) }, string(reason), nil
	}
	if !demanded {
		return refuse(verifier.ReasonPolicyChanged)
	}
	presented, err := verifier.Evaluate(t.Requirement, got, v.now)
	var refusal *verifier.Refusal
	switch {
	case errors.As(err, &refusal):
		if gate := v.app.gates.get(t.Gate); gate.Bind != nil && refusal.Claim == gate.Bind.Claim {
			refusal.Reason = bindMismatch
		}
		return refuse(refusal.Reason)
	case err != nil:
		return refuse(verifier.ReasonMalformed)
	}
	if t.Pending() {
		if _, ok := v.app.limiter.holders.allow(v.app.keys.subjectOf(presented.Subject), v.now); !ok {
			return refuse(holderLimited)
		}
	}
	presented.CrossDevice = t.CrossDevice
	return func(t *verifier.Transaction) error { return t.Verified(presented, got.Digest, v.now) }, "verified", nil
}

// stillDemanded says whether the gate of a transaction exists and demands today what it demanded then. It is not known, and an error,
// while Caddy's storage does not say what is pinned: to refuse then would be for good.
func (a *App) stillDemanded(t *verifier.Transaction) (bool, error) {
	gate := a.gates.get(t.Gate)
	if gate == nil {
		return false, nil
	}
	w, ok := gate.want(t.Requirement.Credential)
	if !ok {
		return false, nil
	}
	if w.credential.pin != nil && w.credential.learned() == nil { // it may have been begun at another node
		ctx, cancel := context.WithTimeout(a.ctx, patience.Store)
		defer cancel()
		if err := w.credential.pin.look(ctx); err != nil {
			return false, err
		}
	}
	return gate.requirement(w, boundValue(gate, t)).Fingerprint() == t.Requirement.Fingerprint(), nil
}

// boundValue is the value that bind had when the transaction was started; it is the last required claim.
func boundValue(g *Gate, t *verifier.Transaction) string {
	rules := t.Requirement.RequiredClaims
	if g.Bind == nil || len(rules) == 0 || len(rules[len(rules)-1].Values) != 1 {
		return ""
	}
	return rules[len(rules)-1].Values[0]
}
