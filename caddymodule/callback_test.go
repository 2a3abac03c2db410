// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// statusOf is where a transaction stands.
func statusOf(t *testing.T, app *App, id string) verifier.Status {
	t.Helper()
	transaction, err := app.store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return transaction.Status
}

// A stranger posts a forged result with every key but the right one. All get the same answer, and nothing moves.
// TM-054, TM-057, TM-058.
func TestForgedCallback(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	id := newBrowser(t, g).begin("/")
	request, state, key := s.last(t)
	otherID := newBrowser(t, g).begin("/")
	otherRequest, otherState, otherKey := s.last(t)
	plain := strings.TrimPrefix(key, "Bearer ")
	_, secret, _ := strings.Cut(plain, ".")
	_, otherSecret, _ := strings.Cut(otherKey, ".")
	var first string
	for name, forged := range map[string]string{
		"missing": "", "empty": "Bearer ", "no secret": "Bearer " + id + ".", "no id": "Bearer ." + secret, "other scheme": "Basic " + plain,
		"prefix": key[:len(key)-1], "suffix": key + "A", "other's secret": "Bearer " + id + "." + otherSecret,
		"secret of ours, other's id": "Bearer " + otherID + "." + secret, "unknown id": "Bearer " + strings.Repeat("A", 22) + "." + secret,
		"lower case": strings.ToLower(key), "id only": "Bearer " + id,
	} {
		w := callback(t, g, forged, verified(request, state))
		answer := w.Body.String() + w.Result().Status
		if first == "" {
			first = answer
		}
		if w.Code != http.StatusUnauthorized || answer != first {
			t.Errorf("%s: answer %q, want the same 401 as all", name, answer)
		}
	}
	for name, body := range map[string]string{
		"other's state":       verified(request, otherState),
		"other's request id":  verified(otherRequest, state),
		"both other's":        verified(otherRequest, otherState),
		"no state":            verified(request, ""),
		"state in other case": verified(request, strings.ToUpper(state)),
	} {
		if w := callback(t, g, key, body); w.Code != http.StatusBadRequest {
			t.Errorf("%s: status %d, want 400", name, w.Code)
		}
	}
	if got := statusOf(t, app, id); got != verifier.StatusCreated {
		t.Errorf("the transaction is %s, want created", got)
	}
}

// A stranger sends a gigabyte: the key is looked at before the body. TM-056.
func TestCallbackBodyOfStranger(t *testing.T) {
	_, g, _ := journeyGate(t, "", mailGate)
	r := request("POST", testOrigin+"/.verified-id/callback", http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer x.y"}})
	body := &endless{}
	r.Body = body
	if w, _ := serve(t, g, r); w.Code != http.StatusUnauthorized || body.read > 64<<10 {
		t.Errorf("status %d after %d bytes, want 401 before 64 KiB", w.Code, body.read)
	}
}

type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	if e.read > 1<<30 {
		return 0, io.EOF
	}
	return len(p), nil
}

func (*endless) Close() error { return nil }

// TM-059: the limits on what a callback may look like.
func TestCallbackOfWrongForm(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	id := newBrowser(t, g).begin("/")
	requestID, state, key := s.last(t)
	good := verified(requestID, state)
	for name, c := range map[string]struct {
		header http.Header
		body   string
		want   int
	}{
		"form":             {http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, good, http.StatusUnsupportedMediaType},
		"no type":          {http.Header{}, good, http.StatusUnsupportedMediaType},
		"gzip":             {http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, good, http.StatusUnsupportedMediaType},
		"two objects":      {http.Header{"Content-Type": {"application/json"}}, good + good, http.StatusBadRequest},
		"duplicate member": {http.Header{"Content-Type": {"application/json"}}, strings.Replace(good, `"state"`, `"state":"x","state"`, 1), http.StatusBadRequest},
		"duplicate claim":  {http.Header{"Content-Type": {"application/json"}}, strings.Replace(good, `"mail"`, `"mail":"boss@contoso.example","mail"`, 1), http.StatusBadRequest},
		"deep":             {http.Header{"Content-Type": {"application/json"}}, strings.Replace(good, `"mail"`, `"deep":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`,"mail"`, 1), http.StatusBadRequest},
		"cut":              {http.Header{"Content-Type": {"application/json"}}, good[:len(good)-2], http.StatusBadRequest},
		"empty":            {http.Header{"Content-Type": {"application/json"}}, "", http.StatusBadRequest},
	} {
		c.header["Authorization"] = []string{key}
		r := request("POST", testOrigin+"/.verified-id/callback", c.header)
		r.Body = readCloser{strings.NewReader(c.body)}
		if w, _ := serve(t, g, r); w.Code != c.want {
			t.Errorf("%s: status %d, want %d", name, w.Code, c.want)
		}
	}
	for _, method := range []string{"GET", "PUT", "OPTIONS", "HEAD"} {
		if w, _ := serve(t, g, request(method, testOrigin+"/.verified-id/callback", http.Header{"Authorization": {key}})); w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", method, w.Code)
		}
	}
	if got := statusOf(t, app, id); got != verifier.StatusCreated {
		t.Errorf("the transaction is %s, want created", got)
	}
}

// The service says verified; what came is not what was asked for. Each ends the transaction with its own reason, is
// answered 2xx, and shows one kind of page. TM-068 to TM-075.
func TestVerifiedIsNotEnough(t *testing.T) {
	for name, c := range map[string]struct {
		change [2]string
		reason verifier.Reason
	}{
		"other issuer":    {[2]string{testIssuer, "did:web:did.mallory.example"}, verifier.ReasonWrongIssuer},
		"other type":      {[2]string{`"VerifiedEmployee"`, `"VerifiedStudent"`}, verifier.ReasonWrongType},
		"low score":       {[2]string{"91.5", "79.99"}, verifier.ReasonFaceCheckLow},
		"no face check":   {[2]string{`"faceCheck"`, `"faceChecked"`}, verifier.ReasonFaceCheckMissing},
		"revoked":         {[2]string{`"VALID"`, `"REVOKED"`}, verifier.ReasonRevoked},
		"expired":         {[2]string{"2026-04-12", "2026-01-14"}, verifier.ReasonCredentialExpired},
		"issued tomorrow": {[2]string{"2026-01-12", "2026-01-16"}, verifier.ReasonCredentialFuture},
		"required claim":  {[2]string{`"jobTitle":"Clerk"`, `"jobTitle":"Boss"`}, verifier.ReasonRequiredClaim},
	} {
		t.Run(name, func(t *testing.T) {
			app, g, s := journeyGate(t, "", "verified_id {\n require jobTitle Clerk\n}")
			b := newBrowser(t, g)
			id := b.begin("/")
			request, state, key := s.last(t)
			if w := callback(t, g, key, verified(request, state, c.change[0], c.change[1])); w.Code != http.StatusOK {
				t.Errorf("status %d, want 200: an error would be shown to the holder as ours", w.Code)
			}
			transaction, err := app.store.Get(t.Context(), id)
			if err != nil || transaction.Status != verifier.StatusRefused || transaction.Reason != c.reason {
				t.Fatalf("transaction %s for %q (%v), want refused for %q", transaction.Status, transaction.Reason, err, c.reason)
			}
			w, _ := b.open("/.verified-id/wait?t=" + id)
			for _, canary := range []string{"91.5", "79.99", "ana@contoso.example", "Clerk", "Boss", "did:ion"} {
				if strings.Contains(w.Body.String(), canary) {
					t.Errorf("the page shows %q", canary)
				}
			}
			// A late good result does not undo a refusal (TM-060).
			callback(t, g, key, verified(request, state))
			if got := statusOf(t, app, id); got != verifier.StatusRefused {
				t.Errorf("afterwards the transaction is %s, want refused", got)
			}
		})
	}
}

// Callbacks come twice, late and in any order; none moves a transaction backwards or renews anything. TM-060 to TM-062.
func TestCallbackReplay(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	request, state, key := s.last(t)
	callback(t, g, key, verified(request, state))
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"same again":      {verified(request, state), http.StatusOK},
		"other claims":    {verified(request, state, "ana@", "boss@"), http.StatusConflict},
		"late retrieval":  {`{"requestId":"` + request + `","requestStatus":"request_retrieved","state":"` + state + `"}`, http.StatusOK},
		"late error":      {`{"requestId":"` + request + `","requestStatus":"presentation_error","state":"` + state + `","error":{"code":"claimValidationError","message":"x"}}`, http.StatusOK},
		"unknown status":  {`{"requestId":"` + request + `","requestStatus":"Presentation_Verified ","state":"` + state + `"}`, http.StatusOK},
		"issuance status": {`{"requestId":"` + request + `","requestStatus":"issuance_successful","state":"` + state + `"}`, http.StatusOK},
	} {
		if w := callback(t, g, key, c.body); w.Code != c.want {
			t.Errorf("%s: status %d, want %d", name, w.Code, c.want)
		}
		if got := statusOf(t, app, id); got != verifier.StatusVerified {
			t.Errorf("%s: the transaction is %s, want verified", name, got)
		}
	}
	b.finish(id)
	if w := callback(t, g, key, verified(request, state, "ana@", "boss@")); w.Code == http.StatusCreated || statusOf(t, app, id) != verifier.StatusConsumed {
		t.Errorf("after finish: status %d, transaction %s", w.Code, statusOf(t, app, id))
	}
}

// The code is shown five minutes; a holder who scanned in time has two more for Face Check, nobody else has. TM-038.
func TestCallbackAfterExpiry(t *testing.T) {
	for name, c := range map[string]struct {
		retrieved bool
		after     time.Duration
		want      verifier.Status
	}{
		"scanned in time":     {true, 6*time.Minute + 59*time.Second, verifier.StatusVerified},
		"scanned, too late":   {true, 7*time.Minute + time.Second, verifier.StatusRetrieved},
		"never scanned":       {false, 5*time.Minute + time.Second, verifier.StatusCreated},
		"never reported scan": {false, 4 * time.Minute, verifier.StatusVerified},
	} {
		t.Run(name, func(t *testing.T) {
			app, g, s := journeyGate(t, "", mailGate)
			id := newBrowser(t, g).begin("/")
			request, state, key := s.last(t)
			if c.retrieved {
				callback(t, g, key, `{"requestId":"`+request+`","requestStatus":"request_retrieved","state":"`+state+`"}`)
			}
			now := testNow.Add(c.after)
			setNow(now)
			callback(t, g, key, verified(request, state))
			if got := statusOf(t, app, id); got != c.want {
				t.Errorf("the transaction is %s, want %s", got, c.want)
			}
		})
	}
}

// A wallet is quicker than the service's own answer to us: the record exists, the request id does not yet. TM-049.
func TestCallbackDuringTheCall(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	early := 0
	s.during = func(request sentRequest) {
		early = callback(t, g, request.Callback.Headers["Authorization"], verified("request-1", request.Callback.State)).Code
	}
	b := newBrowser(t, g)
	id := b.begin("/")
	if early != http.StatusServiceUnavailable {
		t.Errorf("during the call: status %d, want 503", early)
	}
	request, state, key := s.last(t)
	if w := callback(t, g, key, verified(request, state)); w.Code != http.StatusOK || statusOf(t, app, id) != verifier.StatusVerified {
		t.Errorf("afterwards: status %d, transaction %s", w.Code, statusOf(t, app, id))
	}
}

// The photo and claims that nobody asked for are gone before anything is stored. TM-017.
func TestPhotoIsNotKept(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	request, state, key := s.last(t)
	callback(t, g, key, verified(request, state))
	transaction, err := app.store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if claims := transaction.Presentation.Claims; len(claims) != 1 || claims[0].Name != "mail" {
		t.Errorf("kept claims %v, want mail only", claims)
	}
}

// The callback's address and key go where the operator said, whatever the visitor's request claims. TM-046, TM-047.
func TestHostileHostDoesNotMoveTheCallback(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	start, _ := b.open("/.verified-id/start?faceCheck=0&threshold=1&type=Any")
	token := tokenIn(t, start.Body.String())
	r := request("POST", testOrigin+"/.verified-id/request?faceCheck=false&acceptedIssuers=", http.Header{
		"Sec-Fetch-Site": {"same-origin"}, "X-Forwarded-Host": {"evil.example"}, "X-Original-Host": {"evil.example"},
		"Forwarded": {"host=evil.example;proto=http"}, "X-Forwarded-Proto": {"http"}, "Content-Type": {"application/x-www-form-urlencoded"},
		"User-Agent": {"evil agent"},
	})
	r.Host = "evil.example"
	r.Body = readCloser{strings.NewReader("token=" + token + "&credential=employee&threshold=1&type=Any&callback=https://evil.example")}
	for name, value := range b.cookies {
		r.Header.Add("Cookie", name+"="+value)
	}
	w, _ := serve(t, g, r)
	if w.Code != http.StatusSeeOther || strings.Contains(w.Header().Get("Location"), "evil") {
		t.Fatalf("status %d to %q", w.Code, w.Header().Get("Location"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.requests[0]
	if sent.Callback.URL != testOrigin+"/.verified-id/callback" {
		t.Errorf("callback url %s", sent.Callback.URL)
	}
	credential := sent.RequestedCredentials[0]
	validation := credential.Configuration.Validation
	if credential.Type != "VerifiedEmployee" || len(credential.AcceptedIssuers) != 1 || validation.FaceCheck.Threshold != 80 ||
		!validation.ValidateLinkedDomain || validation.AllowRevoked || sent.IncludeReceipt {
		t.Errorf("request %+v", sent)
	}
}
