// SPDX-License-Identifier: Apache-2.0

package entra_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/entra"
)

// Entra refuses: one line that says what to mend, without secret, token, or pages of text. TM-141.
func TestErrors(t *testing.T) {
	t.Parallel()
	recorded, err := os.ReadFile("testdata/token-error.json")
	if err != nil {
		t.Fatal(err)
	}
	quoting := `{"error":"invalid_client","error_description":"` + secret + `","error_codes":[7000222]}`
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"wrong secret", 401, string(recorded), "entra answered 401 (invalid_client, AADSTS7000215): the client secret is wrong: is it the secret's ID instead of its value? " +
			"[correlation 5f0c9d3e-2222-4444-9999-a1b2c3d4e5f6, trace 2b6d1c80-1111-4444-8888-0d1e2f3a4b00]"},
		{"expired secret", 401, quoting, "entra answered 401 (invalid_client, AADSTS7000222): the client secret has expired"},
		{"unknown number", 400, `{"error":"invalid_request","error_codes":[1]}`, "entra answered 400 (invalid_request, AADSTS1)"},
		{"no number", 400, `{"error":"invalid_scope"}`, "entra answered 400 (invalid_scope)"},
		{"no JSON", 403, "<html>" + secret, "entra answered 403"},
		{"odd code", 400, `{"error":"<b>\n` + strings.Repeat("x", 100) + `"}`, "entra answered 400 (b" + strings.Repeat("x", 60) + ")"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			a.token = func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}
			_, err := newSource(t, a.secretConfig()).Token(t.Context(), "")
			var got *entra.Error
			if !errors.As(err, &got) || got.Error() != test.want || got.Status != test.status {
				t.Errorf("error is %q\nwant %q", err, test.want)
			}
			if a.calls() != 1 {
				t.Errorf("%d requests, want 1", a.calls())
			}
		})
	}
}

// Somebody in the middle, or nobody at all: one line with the host and the cause. TM-125.
func TestNetworkErrors(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	stranger := a.secretConfig()
	stranger.RootCAs = x509.NewCertPool()
	gone := httptest.NewTLSServer(http.NotFoundHandler())
	nobody := a.secretConfig()
	nobody.AuthorityHost = gone.URL
	gone.Close()
	for name, test := range map[string]struct {
		config entra.Config
		cause  any
	}{
		"stranger": {stranger, new(x509.UnknownAuthorityError)},
		"nobody":   {nobody, new(*net.OpError)},
	} {
		config := test.config
		_, err := newSource(t, config).Token(t.Context(), "")
		host := strings.TrimPrefix(config.AuthorityHost, "https://")
		if err == nil || !strings.Contains(err.Error(), host) || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "CANARY") || !errors.As(err, test.cause) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a.calls() != 0 {
		t.Errorf("%d requests", a.calls())
	}
}

// A redirect would carry the secret to a stranger; an endless answer would fill the memory. TM-125.
func TestHostileTokenEndpoint(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the stranger is asked for %s", r.URL) }))
	t.Cleanup(stranger.Close)
	for name, token := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, stranger.URL, http.StatusTemporaryRedirect)
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"access_token":"`)
			block := strings.Repeat("x", 64<<10)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, block); err != nil {
					return
				}
			}
		},
		"no token": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"expires_in":3599}`) },
		"not JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `CANARY`) },
		"half a token": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"expires_in":3599,"access_token":"CANARY`)
		},
		"bad times": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"access_token":"CANARY","expires_in":-1}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			a.token = token
			got, err := newSource(t, a.secretConfig()).Token(t.Context(), "")
			if err == nil || strings.Contains(err.Error(), "CANARY") || len(err.Error()) > 400 {
				t.Errorf("Token = %.20q, %v", got, err)
			}
		})
	}
}

// Entra has a bad moment: that is sat out, within the patience of a visitor.
func TestPassingFailure(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.token = func(w http.ResponseWriter, _ *http.Request) {
		if a.calls() < 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"token_type":"Bearer","expires_in":3599,"access_token":"x"}`)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if token, err := newSource(t, a.secretConfig()).Token(ctx, ""); err != nil || token != "x" {
		t.Errorf("Token = %q, %v", token, err)
	}
}

// X9: Entra has failed three times in a row. From then on a fetch is a single request, and a pause it asks for is known.
func TestEntraThatIsDownIsTriedOnce(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.token = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusBadRequest) // not worth a retry
	}
	var passed atomic.Int64
	config := a.secretConfig()
	config.Now = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	source := newSource(t, config)
	fail := func() (refused *entra.Error) {
		if _, err := source.Token(t.Context(), ""); !errors.As(err, &refused) {
			t.Fatal(err)
		}
		passed.Add(int64(time.Minute))
		return refused
	}
	for range 3 {
		if got := fail().RetryAfter; got != 30*time.Second {
			t.Errorf("RetryAfter = %v", got)
		}
	}
	a.token = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	before := a.calls()
	_ = fail()
	if n := a.calls() - before; n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}
