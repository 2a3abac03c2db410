// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

func TestFaultsOfTheService(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.demoToken()
	body := w.presentation("VerifiedEmployee", emulator.DemoAuthority)
	for _, c := range []struct {
		name  string
		fault emulator.Fault
		want  int
		code  string
		inner string
	}{
		{"400", emulator.Fault{Status: 400}, 400, "badRequest", "badOrMissingField"},
		{"401", emulator.Fault{Status: 401}, 401, "unauthorized", "tokenError"},
		{"403", emulator.Fault{Status: 403}, 403, "forbidden", "tokenError"},
		{"404", emulator.Fault{Status: 404}, 404, "notFound", "notFound"},
		{"429", emulator.Fault{Status: 429}, 429, "tooManyRequests", "transientError"},
		{"500", emulator.Fault{Status: 500}, 500, "internalServerError", ""},
		{"503", emulator.Fault{Status: 503}, 503, "serviceUnavailable", "transientError"},
		{"503 without inner error", emulator.Fault{Status: 503, NoInnerError: true}, 503, "serviceUnavailable", ""},
		{"chosen inner error", emulator.Fault{Status: 400, InnerCode: "future", InnerMessage: "x", Target: "y"}, 400, "badRequest", "future"},
		{"status without a name", emulator.Fault{Status: 418}, 418, "error", ""},
	} {
		c.fault.Times = 1
		w.e.Faults().Inject(emulator.APICreatePresentation, c.fault)
		if w.e.Faults().Active() != 1 {
			t.Errorf("%s: Active() = %d, want 1", c.name, w.e.Faults().Active())
		}
		status, answer := w.create("createPresentationRequest", token, body)
		if status != c.want || text(answer, "error", "code") != c.code || text(answer, "error", "innererror", "code") != c.inner {
			t.Errorf("%s: answer = %d %v, want %d %s %s", c.name, status, answer, c.want, c.code, c.inner)
		}
		if status, answer := w.create("createPresentationRequest", token, body); status != http.StatusCreated {
			t.Errorf("%s: after the fault the answer is %d %v, want 201", c.name, status, answer)
		}
	}
}

func TestFaultsAreUsedUpInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.demoToken()
	w.e.Faults().Inject(emulator.APICreatePresentation, emulator.Fault{Status: 429, Times: 2})
	w.e.Faults().Inject(emulator.APICreatePresentation, emulator.Fault{Status: 503})
	w.e.Faults().Inject(emulator.APIManifest, emulator.Fault{Status: 500})
	for i, want := range []int{429, 429, 503, 503, 503} {
		if status, _ := w.create("createPresentationRequest", token, nil); status != want {
			t.Errorf("answer %d = %d, want %d", i, status, want)
		}
	}
	w.e.Faults().Clear()
	if status, _ := w.create("createPresentationRequest", token, nil); status != http.StatusBadRequest || w.e.Faults().Active() != 0 {
		t.Errorf("answer after Clear() = %d, want 400 for the empty body", status)
	}
}

// rawAnswer is an answer as it came.
type rawAnswer struct {
	status int
	header http.Header
	body   []byte
}

// raw posts a presentation request and returns the answer as far as it came.
func (w *world) raw(ctx context.Context, token string) (rawAnswer, error) {
	w.t.Helper()
	body, err := json.Marshal(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	if err != nil {
		w.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.service+"/v1.0/verifiableCredentials/createPresentationRequest", strings.NewReader(string(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := w.client.Do(request)
	if err != nil {
		return rawAnswer{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	got, err := io.ReadAll(answer.Body)
	return rawAnswer{status: answer.StatusCode, header: answer.Header, body: got}, err
}

func TestFaultsOfTheWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.demoToken()
	inject := func(fault emulator.Fault) {
		fault.Times = 1
		w.e.Faults().Inject(emulator.APICreatePresentation, fault)
	}

	inject(emulator.Fault{Status: http.StatusTooManyRequests, RetryAfter: "7"})
	answer, err := w.raw(t.Context(), token)
	if err != nil || answer.status != http.StatusTooManyRequests || answer.header.Get("Retry-After") != "7" {
		t.Errorf("429 with Retry-After = %+v, %v", answer, err)
	}

	inject(emulator.Fault{Status: http.StatusBadGateway, Body: "<html>Bad gateway</html>"})
	answer, err = w.raw(t.Context(), token)
	if err != nil || answer.status != http.StatusBadGateway || string(answer.body) != "<html>Bad gateway</html>" ||
		!strings.HasPrefix(answer.header.Get("Content-Type"), "text/html") {
		t.Errorf("HTML body = %+v, %v", answer, err)
	}

	inject(emulator.Fault{Body: "{}", ContentType: "application/json"})
	answer, err = w.raw(t.Context(), token)
	if err != nil || answer.status != http.StatusOK || string(answer.body) != "{}" || answer.header.Get("Content-Type") != "application/json" {
		t.Errorf("chosen body = %+v, %v", answer, err)
	}

	inject(emulator.Fault{Truncate: true})
	answer, err = w.raw(t.Context(), token)
	if err == nil || answer.status != http.StatusCreated || json.Valid(answer.body) {
		t.Errorf("truncated = %+v, %v, want half an answer and an error", answer, err)
	}

	inject(emulator.Fault{Delay: time.Nanosecond})
	if answer, err = w.raw(t.Context(), token); err != nil || answer.status != http.StatusCreated {
		t.Errorf("delayed = %+v, %v, want 201", answer, err)
	}

	inject(emulator.Fault{Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := w.raw(ctx, token); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hanging = %v, want the caller to give up", err)
	}
}

func TestFaultsOfTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.e.Faults().Inject(emulator.APIToken, emulator.Fault{Status: 503, Times: 1})
	status, answer := w.postToken(emulator.DemoTenant, tokenForm(nil))
	checkTokenError(t, status, answer, http.StatusServiceUnavailable, "temporarily_unavailable", 90033)
	w.e.Faults().Inject(emulator.APIToken, emulator.Fault{Status: 400, InnerCode: "invalid_client", InnerMessage: "x", Times: 1})
	status, answer = w.postToken(emulator.DemoTenant, tokenForm(nil))
	checkTokenError(t, status, answer, http.StatusBadRequest, "invalid_client", 90033)
}

// presented shares a card with a Face Check while a callback fault is in force.
func (w *world) presented(fault emulator.CallbackFault) emulator.Outcome {
	w.t.Helper()
	w.issue(emulator.IssueOptions{Contract: "VerifiedIdentity"})
	w.e.Faults().InjectCallback(fault)
	body := faceCheck(w.presentation("VerifiedIdentity", emulator.PartnerAuthority), "portrait", 70)
	return w.share(w.open(body), emulator.ShareOptions{})
}

// TestCallbackFaults makes callbacks arrive in ways in which a relying party must not be deceived.
func TestCallbackFaults(t *testing.T) {
	t.Parallel()
	retrieved, verified := "request_retrieved", "presentation_verified"
	for _, c := range []struct {
		name     string
		fault    emulator.CallbackFault
		statuses string
		check    func(t *testing.T, w *world, last received)
	}{
		{"duplicate", emulator.CallbackFault{Duplicate: 2}, retrieved + " " + verified + " " + verified + " " + verified, func(t *testing.T, w *world, last received) {
			if string(w.relying.callbacks()[1].raw) != string(last.raw) {
				t.Error("duplicates differ")
			}
		}},
		{"duplicate first", emulator.CallbackFault{Status: retrieved, Duplicate: 1}, retrieved + " " + retrieved + " " + verified, nil},
		{"reordered", emulator.CallbackFault{Status: retrieved, Reorder: true}, verified + " " + retrieved, nil},
		{"dropped", emulator.CallbackFault{Drop: true}, retrieved, func(t *testing.T, w *world, _ received) {
			if got := w.e.Callbacks(); !got[1].Dropped || got[1].Status != 0 || len(w.e.DeliverHeld()) != 0 {
				t.Errorf("record = %+v, want dropped", got[1])
			}
		}},
		{"late", emulator.CallbackFault{Hold: true}, retrieved, func(t *testing.T, w *world, _ received) {
			if got := w.e.Callbacks(); !got[1].Held {
				t.Errorf("record = %+v, want held", got[1])
			}
			w.clock.Advance(time.Hour)
			if sent := w.e.DeliverHeld(); len(sent) != 1 || sent[0].Status != http.StatusOK || sent[0].RequestStatus != verified || !sent[0].Time.Equal(w.clock.Now()) {
				t.Errorf("DeliverHeld() = %+v, want the callback sent now", sent)
			}
			if got, want := w.relying.statuses(), retrieved+" "+verified; got != want {
				t.Errorf("callbacks = %q, want %q", got, want)
			}
		}},
		{"wrong key", emulator.CallbackFault{WrongKey: true}, retrieved + " " + verified, func(t *testing.T, _ *world, last received) {
			if key := last.header.Get("Api-Key"); key == "key-1" || key == "" {
				t.Errorf("api-key = %q, want another", key)
			}
		}},
		{"no key", emulator.CallbackFault{NoKey: true}, retrieved + " " + verified, func(t *testing.T, _ *world, last received) {
			if last.header.Values("Api-Key") != nil {
				t.Error("there is a key")
			}
		}},
		{"unknown state", emulator.CallbackFault{UnknownState: true}, retrieved + " " + verified, func(t *testing.T, _ *world, last received) {
			if state := text(last.body, "state"); state == "state-1" || state == "" {
				t.Errorf("state = %q, want another", state)
			}
		}},
		{"wrong request id", emulator.CallbackFault{WrongRequestID: true}, retrieved + " " + verified, func(t *testing.T, w *world, last received) {
			if id := text(last.body, "requestId"); id == text(w.relying.callbacks()[0].body, "requestId") || id == "" {
				t.Errorf("requestId = %q, want another", id)
			}
		}},
		{"extra fields", emulator.CallbackFault{ExtraFields: true}, retrieved + " " + verified, func(t *testing.T, _ *world, last received) {
			entry := at(last.body, "verifiedCredentialsData", 0)
			for _, place := range []any{last.body, entry, at(entry, "credentialState"), at(entry, "faceCheck")} {
				if at(place, "emulatorExtra", "nested", 1) != "two" {
					t.Errorf("no unknown member in %v", place)
				}
			}
			if at(entry, "claims", "emulatorExtra") != nil {
				t.Error("the claims were touched")
			}
		}},
		{"optional fields missing", emulator.CallbackFault{OmitOptional: true}, retrieved + " " + verified, func(t *testing.T, _ *world, last received) {
			entry := at(last.body, "verifiedCredentialsData", 0)
			if at(entry, "domainValidation") != nil || at(entry, "issuanceDate") != nil || at(entry, "expirationDate") != nil ||
				at(entry, "faceCheck", "sourcePhotoQuality") != nil || at(entry, "faceCheck", "matchConfidenceScore") == nil {
				t.Errorf("entry = %v, want only what is needed", entry)
			}
		}},
		{"Face Check missing", emulator.CallbackFault{OmitFaceCheck: true}, retrieved + " " + verified, func(t *testing.T, _ *world, last received) {
			if at(last.body, "verifiedCredentialsData", 0, "faceCheck") != nil {
				t.Error("there is a Face Check")
			}
		}},
		{"huge claims", emulator.CallbackFault{HugeClaims: 10 << 20}, retrieved + " " + verified, func(t *testing.T, w *world, last received) {
			if len(last.raw) < 10<<20 || len(w.e.Wallet().Cards()[0].Claims["emulatorHugeClaim"]) != 0 {
				t.Errorf("callback has %d bytes, want 10 MiB and the card unchanged", len(last.raw))
			}
		}},
		{"claims changed", emulator.CallbackFault{Claims: map[string]string{"lastName": "Mallory"}}, retrieved + " " + verified, func(t *testing.T, w *world, last received) {
			if text(last.body, "verifiedCredentialsData", 0, "claims", "lastName") != "Mallory" || w.e.Wallet().Cards()[0].Claims["lastName"] != "Lima" {
				t.Error("the claim is not changed, or the card is")
			}
		}},
		{"unknown error code", emulator.CallbackFault{ErrorCode: "futureErrorCode"}, retrieved + " presentation_error", func(t *testing.T, _ *world, last received) {
			if text(last.body, "error", "code") != "futureErrorCode" || at(last.body, "subject") != nil || at(last.body, "verifiedCredentialsData") != nil {
				t.Errorf("callback = %s", last.raw)
			}
		}},
		{"long subject", emulator.CallbackFault{LongSubject: true}, retrieved + " " + verified, func(t *testing.T, _ *world, last received) {
			if len(text(last.body, "subject")) < 750 {
				t.Errorf("subject has %d characters", len(text(last.body, "subject")))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			c.fault.Times = 1
			if outcome := w.presented(c.fault); !outcome.Accepted {
				t.Errorf("Share() = %+v, want accepted: the wallet does not see it", outcome)
			}
			if got := w.relying.statuses(); got != c.statuses {
				t.Fatalf("callbacks = %q, want %q", got, c.statuses)
			}
			if c.check != nil {
				c.check(t, w, w.relying.last(t))
			}
		})
	}
}

func TestCallbackCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.presented(emulator.CallbackFault{Truncate: true, Times: 1})
	if last := w.relying.last(t); json.Valid(last.raw) || len(last.raw) == 0 {
		t.Errorf("callback = %s, want half a body", last.raw)
	}
}

func TestIssuanceErrorByFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.e.Faults().InjectCallback(emulator.CallbackFault{ErrorCode: "IssuanceFlowFailed", Times: 2})
	if _, err := w.offered(w.issuance()).AcceptIssuance(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if last := w.relying.last(t); text(last.body, "requestStatus") != "issuance_error" {
		t.Errorf("callback = %s, want issuance_error", last.raw)
	}
	if w.e.Faults().Active() != 1 {
		t.Errorf("Active() = %d, want one more to come", w.e.Faults().Active())
	}
}

func TestRelyingPartyThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	body := w.presentation("VerifiedEmployee", emulator.DemoAuthority)
	put(body, "http://localhost:1/callback", "callback", "url")
	outcome := w.share(w.open(body), emulator.ShareOptions{})
	if outcome.Accepted || outcome.Status != http.StatusInternalServerError || outcome.RelyingPartyStatus != 0 {
		t.Errorf("Share() = %+v, want 500 and no answer of the relying party", outcome)
	}
	if got := w.e.Callbacks(); len(got) != 2 || got[1].Err == "" || got[1].Status != 0 {
		t.Errorf("Callbacks() = %+v, want two that failed", got)
	}
}

func TestRelyingPartyThatRedirects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	w.relying.answer(http.StatusFound)
	outcome := w.share(w.open(w.presentation("VerifiedEmployee", emulator.DemoAuthority)), emulator.ShareOptions{})
	if outcome.Accepted || outcome.RelyingPartyStatus != http.StatusFound {
		t.Errorf("Share() = %+v, want the redirect to count as failure", outcome)
	}
}

func TestRecordsKeepNoSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everyWay)
	token := w.demoToken()
	assertion := w.assertion(nil)
	w.postToken(emulator.DemoTenant, tokenForm(withAssertion(assertion)))
	w.create("createPresentationRequest", token, w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	all := w.e.Requests()
	if len(all) != 3 || len(w.e.RequestsTo(emulator.APIToken)) != 2 || all[2].API != emulator.APICreatePresentation || all[2].Status != 201 {
		t.Fatalf("Requests() = %+v, want two tokens and one request", all)
	}
	if !strings.Contains(string(all[2].Body), "requestedCredentials") || all[2].Header.Get("Authorization") != "Bearer [removed]" {
		t.Errorf("record = %s %v", all[2].Body, all[2].Header)
	}
	for _, request := range all {
		for _, secret := range []string{token, assertion, emulator.DemoClientSecret} {
			if text := string(request.Body) + jsonText(t, request.Header); strings.Contains(text, secret) {
				t.Errorf("the record of %s holds a secret", request.API)
			}
		}
	}
}

func TestRecordsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for range 520 {
		w.do(w.client, http.MethodGet, w.service+"/v1.0/identifiers/did:web:nobody.example", nil, nil)
	}
	if n := len(w.e.Requests()); n < 450 || n > 500 {
		t.Errorf("Requests() keeps %d, want 450 to 500", n)
	}
}
