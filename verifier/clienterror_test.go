// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// Every recorded error answer: what it is, what the visitor and the operator hear, and whether it is tried again
// (reference of the service, "Errors, what to do").
func TestRecordedErrors(t *testing.T) {
	t.Parallel()
	const id, mscv = "6a1d9c40-7e53-4f28-b0c6-51e2a98d3f07", "hT8dK2mPq9VwXz3L.1"
	tests := []struct {
		file     string
		status   int
		want     verifier.ServiceError
		visitor  verifier.VisitorAdvice
		operator string // part of the advice
		calls    int
	}{
		{"400-bad-field", 400, verifier.ServiceError{Code: "badRequest", InnerCode: "badOrMissingField", Target: "includeQRCode", RequestID: id, MSCV: mscv}, verifier.Unavailable, "field includeQRCode", 1},
		{"400-authority", 400, verifier.ServiceError{Code: "badRequest", InnerCode: "badOrMissingField", Target: "authority", RequestID: "b2e94c1706fd4a83a5d07c3e81f6290b", MSCV: mscv}, verifier.Unavailable, "not a DID of the tenant", 1},
		{"400-facecheck-billing", 400, verifier.ServiceError{Code: "badRequest", InnerCode: "badOrMissingField", Target: "authority", RequestID: "|3f9a1c7e5b2d4860a7c4e1f09b8d6325.d41e7a90c2b3f586.", MSCV: "Yc5RjF0sBn7UoEa1.2"}, verifier.Unavailable, "Face Check is not enabled", 1},
		{"401", 401, verifier.ServiceError{Code: "unauthorized", InnerCode: "tokenError", Target: "access_token", RequestID: id, MSCV: mscv}, verifier.Unavailable, "grant VerifiableCredential.Create.PresentRequest", 2},
		{"403", 403, verifier.ServiceError{Code: "forbidden", InnerCode: "tokenError", Target: "access_token", RequestID: id, MSCV: mscv}, verifier.Unavailable, "grant VerifiableCredential.Create.PresentRequest", 1},
		{"404", 404, verifier.ServiceError{Code: "notFound", InnerCode: "notFound", Target: "c4b1f0de-93a7-4c1e-8f25-6d7a0b9e4c31", RequestID: id, MSCV: mscv}, verifier.Unavailable, "check the service URL", 1},
		{"429", 429, verifier.ServiceError{Code: "tooManyRequests", InnerCode: "transientError", RequestID: id, MSCV: mscv, RetryAfter: time.Second}, verifier.Busy, "two requests a second", 3},
		{"500", 500, verifier.ServiceError{Code: "internalServerError", RequestID: id, MSCV: mscv}, verifier.Busy, "trouble", 3},
		{"503", 503, verifier.ServiceError{Code: "serviceUnavailable", InnerCode: "transientError", RequestID: id, MSCV: mscv}, verifier.Busy, "trouble", 3},
		{"preview-shape", 400, verifier.ServiceError{Code: "client_request.invalid_include_qr_code", RequestID: id, MSCV: mscv}, verifier.Unavailable, "mend the configuration", 1},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			s := newService(t, answer(test.status, string(readFile(t, "http-error-"+test.file+".json"))))
			_, err := s.create(t.Context())
			var got *verifier.ServiceError
			if !errors.As(err, &got) {
				t.Fatalf("error is %v", err)
			}
			test.want.Status = test.status
			if diff := cmp.Diff(test.want, *got, cmpopts.IgnoreUnexported(verifier.ServiceError{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got.Visitor() != test.visitor || !strings.Contains(got.Operator(), test.operator) {
				t.Errorf("visitor hears %q, operator %q", got.Visitor(), got.Operator())
			}
			if got.Temporary() != (test.visitor == verifier.Busy) || errors.Is(err, verifier.ErrBusy) != (test.status == 429) {
				t.Errorf("temporary %v, busy %v", got.Temporary(), errors.Is(err, verifier.ErrBusy))
			}
			if s.calls() != test.calls {
				t.Errorf("%d calls, want %d", s.calls(), test.calls)
			}
			if want := fmt.Sprintf("request service answered %d (%s", test.status, got.Code); !strings.Contains(err.Error(), want) {
				t.Errorf("error text is %q", err)
			}
			if !strings.Contains(s.log.String(), id[:8]) && got.RequestID == id || !strings.Contains(s.log.String(), correlationVector) {
				t.Errorf("the log cannot be searched for: %s", &s.log)
			}
		})
	}
}

// Answers no document knows still say what to do, and hold no more than a status.
func TestUnknownErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		text   string
		advice verifier.VisitorAdvice
	}{
		"empty":            {400, "", "request service answered 400", verifier.Unavailable},
		"HTML":             {502, "<html>Bad gateway</html>", "request service answered 502", verifier.Busy},
		"gateway time-out": {504, "null", "request service answered 504", verifier.Busy},
		"request time-out": {408, "[]", "request service answered 408", verifier.Busy},
		"conflict":         {409, `{"error":"text"}`, "request service answered 409", verifier.Unavailable},
		"transient":        {409, `{"error":{"innererror":{"code":"transientError"}}}`, "request service answered 409 (transientError)", verifier.Busy},
		"numbers":          {400, `{"requestId":1,"error":{"code":2,"message":3,"innererror":{"code":[],"target":{}}}}`, "request service answered 400", verifier.Unavailable},
		"markup":           {400, `{"error":{"code":"<script>\u202e\n"}}`, "request service answered 400 (script)", verifier.Unavailable},
		"endless word":     {400, `{"error":{"code":"` + strings.Repeat("x", 100_000) + `"}}`, "request service answered 400 (" + strings.Repeat("x", 128) + ")", verifier.Unavailable},
		"endless body":     {400, `{"error":{"code":"x","message":"` + strings.Repeat("x", 2<<20), "request service answered 400 (x)", verifier.Unavailable},
		"teapot":           {418, "", "request service answered 418", verifier.Unavailable},
		"not implemented":  {501, "", "request service answered 501", verifier.Unavailable},
	} {
		s := newService(t, answer(test.status, test.body, "MS-CV", "fromHeader.1"))
		_, err := s.create(t.Context())
		var got *verifier.ServiceError
		if !errors.As(err, &got) || got.Error() != test.text || got.Visitor() != test.advice || got.Operator() == "" {
			t.Errorf("%s: %.200v", name, err)
			continue
		}
		if got.MSCV != "fromHeader.1" {
			t.Errorf("%s: MSCV = %q", name, got.MSCV)
		}
	}
}

// The service quotes our request, callback key included, in what it says; neither an error text nor the log may repeat it. TM-052,
// TM-141.
func TestServiceErrorDoesNotLeakTheRequest(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 403, 429, 500} {
		s := newService(t, func(w http.ResponseWriter, r *http.Request) {
			quoted := callbackKeyCanary + " " + r.Header.Get("Authorization")
			answer(status, fmt.Sprintf(`{"error":{"code":"x","message":%q,"innererror":{"code":"y","message":%q}},"extra":%q}`, quoted, quoted, quoted))(w, r)
		})
		_, err := s.create(t.Context())
		var got *verifier.ServiceError
		if !errors.As(err, &got) {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("%v %+v %s %s", err, *got, got.Operator(), &s.log); strings.Contains(text, "CANARY") {
			t.Errorf("%d: %s", status, text)
		}
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	ok, down := created(t), answer(500, "")
	tests := []struct {
		name    string
		answers []http.HandlerFunc
		calls   int
		pauses  []time.Duration
		ok      bool
	}{
		{"second time", []http.HandlerFunc{down, ok}, 2, []time.Duration{200 * time.Millisecond}, true},
		{"third time", []http.HandlerFunc{answer(503, ""), answer(502, ""), ok}, 3, []time.Duration{200 * time.Millisecond, 600 * time.Millisecond}, true},
		{"not a fourth time", []http.HandlerFunc{down, down, down, ok}, 3, []time.Duration{200 * time.Millisecond, 600 * time.Millisecond}, false},
		{"connection lost", []http.HandlerFunc{hangUp, ok}, 2, []time.Duration{200 * time.Millisecond}, true},
		{"answer cut", []http.HandlerFunc{answer(201, "{", "Content-Length", "100"), ok}, 2, []time.Duration{200 * time.Millisecond}, true},
		{"short pause", []http.HandlerFunc{answer(429, "", "Retry-After", "2"), ok}, 2, []time.Duration{2200 * time.Millisecond}, true},
		{"pause of nothing", []http.HandlerFunc{answer(429, "", "Retry-After", "0"), ok}, 2, []time.Duration{200 * time.Millisecond}, true},
		{"pause without length", []http.HandlerFunc{answer(429, ""), ok}, 2, []time.Duration{1200 * time.Millisecond}, true},
		{"pause without sense", []http.HandlerFunc{answer(429, "", "Retry-After", "soon"), ok}, 2, []time.Duration{1200 * time.Millisecond}, true},
		{"negative pause", []http.HandlerFunc{answer(429, "", "Retry-After", "-5"), ok}, 2, []time.Duration{1200 * time.Millisecond}, true},
		{"short pause of 503", []http.HandlerFunc{answer(503, "", "Retry-After", "1"), ok}, 2, []time.Duration{1200 * time.Millisecond}, true},
		{"long pause", []http.HandlerFunc{answer(429, "", "Retry-After", "3"), ok}, 1, nil, false},
		{"400", []http.HandlerFunc{answer(400, ""), ok}, 1, nil, false},
		{"token refused once", []http.HandlerFunc{answer(401, ""), ok}, 2, nil, true},
		{"token refused, then down", []http.HandlerFunc{answer(401, ""), down, ok}, 3, []time.Duration{200 * time.Millisecond}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, test.answers...)
			_, err := s.create(t.Context())
			if (err == nil) != test.ok || s.calls() != test.calls || !slices.Equal(s.pauses, test.pauses) {
				t.Errorf("%v after %d calls with pauses %v", err, s.calls(), s.pauses)
			}
		})
	}
}

// A pause that would outlast the visitor's patience is not begun, and one he does not sit out is the end.
func TestPauseBeyondTheDeadline(t *testing.T) {
	t.Parallel()
	s := newService(t, answer(429, "", "Retry-After", "2"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := s.create(ctx); !errors.Is(err, verifier.ErrBusy) || s.calls() != 1 || s.pauses != nil {
		t.Errorf("%v after %d calls with pauses %v", err, s.calls(), s.pauses)
	}

	s = newService(t, answer(500, ""))
	s.client.SetSleep(func(context.Context, time.Duration) error { return context.Canceled })
	var got *verifier.ServiceError
	if _, err := s.create(t.Context()); !errors.As(err, &got) || s.calls() != 1 {
		t.Errorf("%v after %d calls", err, s.calls())
	}
}

// Time-outs count as failures of the service: a hanging one is left alone as well.
func TestServiceThatHangsIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newService(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := s.create(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		cancel()
	}
	if _, err := s.create(t.Context()); !errors.Is(err, verifier.ErrBusy) {
		t.Errorf("%v, want %v", err, verifier.ErrBusy)
	}
}

// The service takes the token back. One fresh one is tried, whatever happens before and after, and never two. TM-127.
func TestOneForcedRenewalOfTheToken(t *testing.T) {
	t.Parallel()
	s := newService(t, answer(401, ""))
	_, err := s.create(t.Context())
	var got *verifier.ServiceError
	if !errors.As(err, &got) || got.Status != 401 || s.calls() != 2 {
		t.Errorf("%v after %d calls", err, s.calls())
	}
	if want := []string{tokenCanary + "-0"}; !slices.Equal(s.tokens.rejected, want) {
		t.Errorf("rejected %q, want %q", s.tokens.rejected, want)
	}
	if a, b := s.requests[0].Header.Get("Authorization"), s.requests[1].Header.Get("Authorization"); a == b {
		t.Error("the refused token was sent again")
	}
}

// One visitor is told to wait, and all do: nobody prolongs it by asking. TM-126.
func TestBackOffIsShared(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		header string
		length time.Duration
	}{
		{"seconds", "30", 30 * time.Second},
		{"date", "Thu, 15 Jan 2026 10:00:20 GMT", 20 * time.Second},
		{"too long", "3600", time.Minute},
		{"absurdly long", "9223372036854775807", time.Minute},
		{"date far away", "Fri, 15 Jan 2027 10:00:00 GMT", time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, answer(429, "", "Retry-After", test.header), created(t))
			_, err := s.create(t.Context())
			if !errors.Is(err, verifier.ErrBusy) || verifier.RetryAfter(err) != test.length {
				t.Errorf("%v, wait %v", err, verifier.RetryAfter(err))
			}
			for range 100 {
				_, err := s.create(t.Context())
				if !errors.Is(err, verifier.ErrBusy) || verifier.RetryAfter(err) != test.length {
					t.Fatalf("%v, wait %v", err, verifier.RetryAfter(err))
				}
			}
			s.advance(test.length - time.Second)
			if _, err := s.create(t.Context()); !errors.Is(err, verifier.ErrBusy) || verifier.RetryAfter(err) != time.Second {
				t.Errorf("%v, wait %v", err, verifier.RetryAfter(err))
			}
			if s.calls() != 1 {
				t.Errorf("%d calls, want 1", s.calls())
			}
			s.advance(time.Second)
			if _, err := s.create(t.Context()); err != nil {
				t.Errorf("after the pause: %v", err)
			}
		})
	}
}

// A date that has passed, or a clock that is set back, must not shut the gate for long. TM-136.
func TestBackOffDoesNotOutliveAClockSetBack(t *testing.T) {
	t.Parallel()
	s := newService(t, answer(429, "", "Retry-After", "30"), answer(429, "", "Retry-After", "Thu, 15 Jan 2026 09:00:00 GMT"), created(t))
	s.advance(time.Hour)
	if _, err := s.create(t.Context()); !errors.Is(err, verifier.ErrBusy) {
		t.Fatal(err)
	}
	s.advance(-time.Hour)
	if _, err := s.create(t.Context()); err != nil {
		t.Errorf("an hour earlier: %v", err)
	}
}

// The service is down. After twenty failures visitors get their answer at once for five seconds, then one tries again.
func TestServiceThatIsDownIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newService(t, slices.Concat(slices.Repeat([]http.HandlerFunc{answer(500, "")}, 21), []http.HandlerFunc{created(t)})...)
	for s.calls() < 20 {
		if _, err := s.create(t.Context()); err == nil {
			t.Fatal("success")
		}
	}
	calls := s.calls()
	_, err := s.create(t.Context())
	if !errors.Is(err, verifier.ErrBusy) || verifier.RetryAfter(err) > 5*time.Second || s.calls() != calls {
		t.Errorf("%v, wait %v, %d calls more", err, verifier.RetryAfter(err), s.calls()-calls)
	}
	if !strings.Contains(err.Error(), "busy") {
		t.Errorf("error text is %q", err)
	}
	for range 2 {
		s.advance(5 * time.Second)
		_, _ = s.create(t.Context())
	}
	s.advance(5 * time.Second)
	if _, err := s.create(t.Context()); err != nil {
		t.Errorf("after it came back: %v", err)
	}
}

func FuzzServiceAnswer(f *testing.F) {
	client, err := verifier.NewClient(verifier.ClientConfig{Tokens: &tokenSource{}, Now: func() time.Time { return time.Unix(1768471200, 0) }})
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"", "-facecheck", "-no-qr"} {
		f.Add(201, readFile(f, "presentation-response"+name+".json"), "1")
	}
	for _, name := range []string{"400-authority", "400-bad-field", "400-facecheck-billing", "401", "403", "404", "429", "500", "503", "preview-shape"} {
		f.Add(429, readFile(f, "http-error-"+name+".json"), "Thu, 15 Jan 2026 10:00:20 GMT")
	}
	const service = "https://verifiedid.did.msidentity.com"
	for _, link := range []string{
		"openid-vc://?request_uri=" + service + "/x", "openid-vc://?request_uri=" + service + "@evil.example", "openid-vc://h?request_uri=" + service,
		"openid-vc:///?request_uri=" + service + "&request_uri=x", "openid-vc://?request_uri=" + service + ":443/", "openid-vc://?request_uri=https:" + service,
		"openid-vc://?request_uri=" + service + "%00", "openid-vc://?request_uri=%68ttps://verifiedid.did.msidentity.com", "javascript:openid-vc://",
		"openid-vc://?request_uri=https://VERIFIEDID.did.msidentity.com/x", "openid-vc://?request_uri=https://verifiedid.did.m%C5%BFidentity.com/x",
	} {
		f.Add(201, fmt.Appendf(nil, `{"requestId":"r","url":%q,"expiry":1768471500}`, link), "")
	}
	for _, answer := range []string{
		"", "null", "[]", "{", `{"requestId":1}`, `{"requestId":"<b>","url":"openid-vc://?request_uri=` + service + `","expiry":1768471500}`, `{"expiry":1e300}`,
		`{"requestId":"r","url":"openid-vc://?request_uri=` + service + `","expiry":-9223372036854775808}`, `{"error":{"code":"\u001b[31m","message":"<script>"}}`,
	} {
		f.Add(201, []byte(answer), "-1")
		f.Add(503, []byte(answer), "9223372036854775807")
	}
	f.Fuzz(func(t *testing.T, status int, body []byte, retryAfter string) {
		got, err := client.CheckAnswer(status, body)
		if err == nil {
			if status != 201 || !strings.HasPrefix(got.DeepLink, "openid-vc://") || strings.ContainsAny(got.DeepLink, "\"'<> \n\\") ||
				!strings.Contains(strings.ToLower(got.DeepLink), "verifiedid.did.msidentity.com") || got.RequestID == "" {
				t.Fatalf("accepted %+v", got)
			}
		} else if !errors.Is(err, verifier.ErrBadAnswer) {
			t.Fatalf("error is %v", err)
		}
		response := &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {retryAfter}}}
		failure := verifier.NewServiceError(response, body, time.Unix(1768471200, 0))
		if failure.RetryAfter < 0 || failure.RetryAfter > time.Minute || failure.Operator() == "" {
			t.Fatalf("%+v", failure)
		}
		if text := failure.Error(); len(text) > 500 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`<>"'&`, r) }) {
			t.Fatalf("error text is %q", text)
		}
	})
}
