// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

const (
	callbackKeyCanary = "CANARY-CALLBACK-KEY"
	tokenCanary       = "CANARY-TOKEN"
	correlationVector = "AAAAAAAAAAAAAAAAAAAAAA.1"
)

func TestCreatePresentationRequest(t *testing.T) {
	t.Parallel()
	s := newService(t, created(t))
	got, err := s.create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(s.URL, "https://")
	want := verifier.CreatedRequest{
		RequestID: "c4b1f0de-93a7-4c1e-8f25-6d7a0b9e4c31",
		DeepLink: "openid-vc://?request_uri=https://" + host + "/v1.0/7c1f6a0e-52d3-4a8b-9f47-1d2c3b4a5e6f/" +
			"verifiableCredentials/presentationRequests/c4b1f0de-93a7-4c1e-8f25-6d7a0b9e4c31",
		Expires: time.Date(2026, 1, 15, 10, 5, 0, 0, time.UTC),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	r := s.requests[0]
	if r.Method != http.MethodPost || r.URL.String() != "/v1.0/verifiableCredentials/createPresentationRequest" {
		t.Errorf("called %s %s", r.Method, r.URL)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer " + tokenCanary + "-0", "Content-Type": "application/json", "Ms-Cv": correlationVector,
	} {
		if got := r.Header[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("header %s = %q, want %q", name, got, want)
		}
	}
	var sent verifier.PresentationRequest
	if err := json.Unmarshal([]byte(s.bodies[0]), &sent); err != nil || !cmp.Equal(sent, testRequest()) {
		t.Errorf("sent %s, %v", s.bodies[0], err)
	}
	if s.log.Len() != 0 {
		t.Errorf("success is logged: %s", &s.log)
	}
}

// What is no correlation vector does not become a header: it may come from outside.
func TestBadCorrelationVectorIsNotSent(t *testing.T) {
	t.Parallel()
	s := newService(t, created(t))
	for _, vector := range []string{"", "a b", "a\r\nX-Evil: 1", "é", strings.Repeat("A", 129)} {
		if _, err := s.client.CreatePresentationRequest(t.Context(), testRequest(), vector); err != nil {
			t.Errorf("%q: %v", vector, err)
		}
	}
	for _, r := range s.requests {
		if r.Header["Ms-Cv"] != nil || r.Header["X-Evil"] != nil {
			t.Errorf("sent %q", r.Header)
		}
	}
}

// A hostile or broken answer must not become a link to somewhere else, or a script. TM-051.
func TestBadAnswerIsRefused(t *testing.T) {
	t.Parallel()
	const host = "SERVICE"
	const link = "openid-vc://?request_uri=https://" + host + "/v1.0/r"
	const expiry = "1768471500" // in 300 s
	body := func(id, url, expiry string) string {
		return fmt.Sprintf(`{"requestId":%q,"url":%q,"expiry":%s}`, id, url, expiry)
	}
	withLink := func(url string) string { return body("r", url, expiry) }
	tests := []struct {
		name   string
		status int
		body   string
		ok     bool
	}{
		{"good", 201, withLink(link), true},
		{"encoded", 201, withLink("openid-vc://?request_uri=https%3A%2F%2F" + host + "%2Fv1.0%2Fr"), true},
		{"other parameter", 201, withLink(link + "&x=1"), true},
		{"path of one slash", 201, withLink(strings.Replace(link, "://?", ":///?", 1)), true},
		{"unknown member", 201, `{"new":1,` + withLink(link)[1:], true},
		{"at the last second", 201, body("r", link, "1768472099"), true},
		{"200", 200, withLink(link), false},
		{"202", 202, withLink(link), false},
		{"204", 204, "", false},
		{"empty", 201, "", false},
		{"HTML", 201, "<html>", false},
		{"truncated", 201, withLink(link)[:50], false},
		{"two objects", 201, withLink(link) + withLink(link), false},
		{"member twice", 201, `{"url":"openid-vc://x",` + withLink(link)[1:], false},
		{"too long", 201, `{"x":"` + strings.Repeat("x", 1<<20) + `",` + withLink(link)[1:], false},
		{"no request ID", 201, body("", link, expiry), false},
		{"request ID with markup", 201, body("<b>", link, expiry), false},
		{"request ID too long", 201, body(strings.Repeat("r", 129), link, expiry), false},
		{"request ID as number", 201, `{"requestId":1,"url":"` + link + `","expiry":` + expiry + `}`, false},
		{"expired", 201, body("r", link, "1768471199"), false},
		{"expires now", 201, body("r", link, "1768471200"), false},
		{"expires in 15 min", 201, body("r", link, "1768472100"), false},
		{"expires absurdly", 201, body("r", link, "9223372036854775807"), false},
		{"expires before time", 201, body("r", link, "-9223372036854775808"), false},
		{"expiry as fraction", 201, body("r", link, "1768471500.5"), false},
		{"expiry 1e300", 201, body("r", link, "1e300"), false},
		{"expiry as string", 201, body("r", link, `"1768471500"`), false},
		{"no expiry", 201, `{"requestId":"r","url":"` + link + `"}`, false},
		{"no link", 201, `{"requestId":"r","expiry":` + expiry + `}`, false},
		{"script", 201, withLink("javascript:alert(1)//" + link), false},
		{"https", 201, withLink("https://" + host + "/?request_uri=https://" + host + "/r"), false},
		{"scheme in other case", 201, withLink("OPENID-VC" + strings.TrimPrefix(link, "openid-vc")), false},
		{"scheme with suffix", 201, withLink("openid-vcx" + strings.TrimPrefix(link, "openid-vc")), false},
		{"blank before", 201, withLink(" " + link), false},
		{"no slashes", 201, withLink("openid-vc:?request_uri=https://" + host + "/r"), false},
		{"authority", 201, withLink("openid-vc://evil.example/?request_uri=https://" + host + "/r"), false},
		{"user", 201, withLink("openid-vc://u@/?request_uri=https://" + host + "/r"), false},
		{"path", 201, withLink("openid-vc:///evil?request_uri=https://" + host + "/r"), false},
		{"fragment", 201, withLink(link + "#request_uri=https://evil.example"), false},
		{"no request_uri", 201, withLink("openid-vc://?x=1"), false},
		{"request_uri twice", 201, withLink(link + "&request_uri=https://evil.example"), false},
		{"request_uri in other case", 201, withLink(link + "&Request_URI=https://evil.example"), false},
		{"semicolon", 201, withLink(link + ";request_uri=https://evil.example"), false},
		{"foreign host", 201, withLink("openid-vc://?request_uri=https://evil.example/r"), false},
		{"foreign host behind user", 201, withLink("openid-vc://?request_uri=https://" + host + "@evil.example/r"), false},
		{"host with suffix", 201, withLink("openid-vc://?request_uri=https://" + host + ".evil.example/r"), false},
		{"user", 201, withLink("openid-vc://?request_uri=https://u@" + host + "/r"), false},
		{"encoded line break", 201, withLink(link + "%0a"), false},
		{"encoded quote", 201, withLink(link + "%22"), false},
		{"host with a letter that resembles one", 201, withLink("openid-vc://?request_uri=https://%E2%84%AAelvin.example/r"), false},
		{"http", 201, withLink("openid-vc://?request_uri=http://" + host + "/r"), false},
		{"relative", 201, withLink("openid-vc://?request_uri=/r"), false},
		{"not a URL", 201, withLink("openid-vc://?request_uri=https://[x"), false},
		{"backslash", 201, withLink("openid-vc://?request_uri=https://" + host + `\@evil.example/r`), false},
		{"quote", 201, withLink(link + `"onclick="x`), false},
		{"angle bracket", 201, withLink(link + "<x"), false},
		{"line break", 201, withLink(link + "\n"), false},
		{"more than ASCII", 201, withLink(link + "é"), false},
		{"bad escape", 201, withLink(link + "&x=%zz"), false},
		{"link too long", 201, withLink(link + strings.Repeat("x", 1024)), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, func(w http.ResponseWriter, r *http.Request) {
				answer(test.status, strings.ReplaceAll(test.body, host, r.Host))(w, r)
			})
			got, err := s.create(t.Context())
			if test.ok != (err == nil) || !test.ok && !errors.Is(err, verifier.ErrBadAnswer) {
				t.Errorf("= %+v, %v", got, err)
			}
			if s.calls() != 1 {
				t.Errorf("%d calls, want 1: another answer is not better", s.calls())
			}
		})
	}
}

// Sent as it is, this would accept anyone in the world, or give the callback key to whoever listens on the way. TM-048, S3.
func TestUnsafeRequestIsNotSent(t *testing.T) {
	t.Parallel()
	s := newService(t, created(t))
	for name, spoil := range map[string]func(r *verifier.PresentationRequest){
		"no authority":           func(r *verifier.PresentationRequest) { r.Authority = "" },
		"no client name":         func(r *verifier.PresentationRequest) { r.Registration.ClientName = "" },
		"no state":               func(r *verifier.PresentationRequest) { r.Callback.State = "" },
		"no callback":            func(r *verifier.PresentationRequest) { r.Callback.URL = "" },
		"callback over http":     func(r *verifier.PresentationRequest) { r.Callback.URL = "http://payroll.contoso.example/" },
		"callback without host":  func(r *verifier.PresentationRequest) { r.Callback.URL = "https:/callback" },
		"callback not a URL":     func(r *verifier.PresentationRequest) { r.Callback.URL = "https://[" },
		"other callback header":  func(r *verifier.PresentationRequest) { r.Callback.Headers = map[string]string{"Cookie": "x"} },
		"no credentials":         func(r *verifier.PresentationRequest) { r.RequestedCredentials = nil },
		"no type":                func(r *verifier.PresentationRequest) { r.RequestedCredentials[0].Type = "" },
		"type of all":            func(r *verifier.PresentationRequest) { r.RequestedCredentials[0].Type = "VerifiableCredential" },
		"no issuers":             func(r *verifier.PresentationRequest) { r.RequestedCredentials[0].AcceptedIssuers = nil },
		"text that is not UTF-8": func(r *verifier.PresentationRequest) { r.Registration.Purpose = "\xff" },
	} {
		request := testRequest()
		spoil(&request)
		if _, err := s.client.CreatePresentationRequest(t.Context(), request, ""); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
	if s.calls() != 0 {
		t.Errorf("%d calls", s.calls())
	}
	request := testRequest()
	request.Callback.Headers = map[string]string{"Api-Key": "x"}
	if _, err := s.client.CreatePresentationRequest(t.Context(), request, ""); err != nil {
		t.Errorf("api-key in another case: %v", err)
	}
}

// A redirect would carry token and callback key to a stranger. TM-125.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the stranger is called: %v", r.Header)
	}))
	defer stranger.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := newService(t, answer(status, "", "Location", stranger.URL))
		_, err := s.create(t.Context())
		var serviceError *verifier.ServiceError
		if !errors.As(err, &serviceError) || serviceError.Status != status || s.calls() != 1 {
			t.Errorf("%d: %v after %d calls", status, err, s.calls())
		}
	}
}

// Somebody in the middle shows a certificate of his own. It does not get better by asking again. TM-125.
func TestBadCertificateIsRefused(t *testing.T) {
	t.Parallel()
	s := newService(t, created(t))
	client, err := verifier.NewClient(verifier.ClientConfig{ServiceURL: s.URL, Tokens: s.tokens, RootCAs: x509.NewCertPool()})
	if err != nil {
		t.Fatal(err)
	}
	client.SetSleep(func(context.Context, time.Duration) error { t.Error("tried again"); return nil })
	if _, err := client.CreatePresentationRequest(t.Context(), testRequest(), ""); err == nil || s.calls() != 0 {
		t.Errorf("%v after %d calls", err, s.calls())
	}
}

// The service hangs: the visitor is answered all the same, and nothing stays behind. TM-125.
func TestHangingServiceDoesNotHangUs(t *testing.T) {
	t.Run("until the visitor goes", func(t *testing.T) {
		ignore := goleak.IgnoreCurrent()
		ctx, cancel := context.WithCancel(t.Context())
		released := make(chan struct{})
		s := newService(t, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
			close(released)
		})
		_, err := s.create(ctx)
		if !errors.Is(err, context.Canceled) || s.calls() != 1 {
			t.Errorf("%v after %d calls", err, s.calls())
		}
		<-released
		s.client.Close()
		s.Close()
		goleak.VerifyNone(t, ignore)
	})
	t.Run("in the middle of the body", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newService(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, "{")
			_ = http.NewResponseController(w).Flush()
			cancel()
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		})
		if _, err := s.create(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
	t.Run("at most ten seconds", func(t *testing.T) {
		s := newService(t, created(t))
		s.tokens.check = func(ctx context.Context) {
			deadline, ok := ctx.Deadline()
			if left := time.Until(deadline); !ok || left > 10*time.Second || left < 5*time.Second {
				t.Errorf("%v are left", left)
			}
		}
		if _, err := s.create(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestTokenFailure(t *testing.T) {
	t.Parallel()
	s := newService(t, created(t))
	cause := errors.New("invalid_client")
	s.tokens.err = cause
	_, err := s.create(t.Context())
	if !errors.Is(err, verifier.ErrToken) || !errors.Is(err, cause) || s.calls() != 0 {
		t.Errorf("%v after %d calls", err, s.calls())
	}
	if verifier.RetryAfter(err) != 0 {
		t.Errorf("RetryAfter = %v", verifier.RetryAfter(err))
	}
}

func TestSleepEndsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := verifier.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("Sleep = %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		if err := verifier.Sleep(t.Context(), time.Minute); err != nil || time.Since(begin) != time.Minute {
			t.Errorf("Sleep = %v after %v", err, time.Since(begin))
		}
	})
}

// Retries of many nodes must not fall on one moment.
func TestJitter(t *testing.T) {
	t.Parallel()
	client, err := verifier.NewClient(verifier.ClientConfig{Tokens: &tokenSource{}})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[time.Duration]bool{}
	for range 100 {
		d := client.Jitter(time.Second)
		if d < time.Second/2 || d >= time.Second*3/2 {
			t.Errorf("Jitter(1s) = %v", d)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Errorf("%d different values of 100", len(seen))
	}
}
