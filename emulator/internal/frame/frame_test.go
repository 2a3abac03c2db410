// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator/internal/frame"
)

func TestLoopback(t *testing.T) {
	t.Parallel()
	tests := []struct {
		host string
		want bool
	}{
		{"localhost", true},
		{"LOCALHOST", true},
		{"wallet.localhost", true},
		{"127.0.0.1", true},
		{"127.8.9.1", true},
		{"::1", true},
		{"[::1]", true},
		{"", false},
		{"localhost.example", false},
		{"notlocalhost", false},
		{"127.0.0.1.example", false},
		{"0.0.0.0", false},
		{"192.168.0.1", false},
		{"2130706433", false},
	}
	for _, test := range tests {
		if got := frame.Loopback(test.host); got != test.want {
			t.Errorf("Loopback(%q) = %v, want %v", test.host, got, test.want)
		}
	}
}

// TestOnlyThisMachine: the address it comes from and the name it asks for must both be ours.
func TestOnlyThisMachine(t *testing.T) {
	t.Parallel()
	guarded := frame.ThisMachine(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	tests := []struct {
		name, remote, host string
		want               int
	}{
		{"ours", "127.0.0.1:50000", "localhost:8090", http.StatusNoContent},
		{"ours, IPv6", "[::1]:50000", "[::1]:8090", http.StatusNoContent},
		{"other machine", "192.168.0.7:50000", "localhost:8090", http.StatusForbidden},
		{"name pointed here", "127.0.0.1:50000", "mallory.example:8090", http.StatusForbidden},
		{"no name", "127.0.0.1:50000", "", http.StatusForbidden},
		{"no address", "@", "localhost", http.StatusForbidden},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.RemoteAddr, r.Host = test.remote, test.host
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, r)
			if w.Code != test.want {
				t.Errorf("status = %d, want %d", w.Code, test.want)
			}
		})
	}
}

func TestDeepLink(t *testing.T) {
	t.Parallel()
	for link, ok := range map[string]bool{
		"openid-vc://?request_uri=https://localhost/r":  true,
		"openid://vc?request_uri=https://localhost/r":   true,
		"OPENID-VC://?request_uri=https://localhost/r":  true,
		"javascript:alert(1)":                           false,
		"data:text/html,<script>alert(1)</script>":      false,
		"https://localhost/":                            false,
		"openid-vcx://?request_uri=https://localhost/r": false,
		"":  false,
		"%": false,
	} {
		if got, err := frame.DeepLink(link); (err == nil) != ok || (ok && string(got) != link) {
			t.Errorf("DeepLink(%q) = %q, %v", link, got, err)
		}
	}
}

// TestPages: content is escaped, the banner is on, and a template that breaks half-way sends no
// half page.
func TestPages(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"pages/hello.html":  {Data: []byte(`{{define "content"}}<h1>{{.}}</h1>{{end}}`)},
		"pages/broken.html": {Data: []byte(`{{define "content"}}<h1>begun</h1>{{.Nothing}}{{end}}`)},
	}
	pages, err := frame.Parse(files, "pages", frame.Role{Name: "Test", Stands: "a test", Home: "/"}, "/assets/")
	if err != nil {
		t.Fatalf("Parse() = %v", err)
	}
	w := httptest.NewRecorder()
	pages.Write(w, http.StatusTeapot, "hello", frame.Head{Title: "<b>", Refresh: 3, Events: "/events?a=1&b=2"}, "<script>alert(1)</script>")
	body := w.Body.String()
	for _, want := range []string{
		"&lt;script&gt;alert(1)", "&lt;b&gt; – Test (emulator)", "not a test, not Microsoft",
		`data-events="/events?a=1&amp;b=2"`, `<noscript><meta http-equiv="refresh" content="3"></noscript>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	if w.Code != http.StatusTeapot || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("status or headers wrong: %d %v", w.Code, w.Header())
	}
	for _, name := range []string{"broken", "missing"} {
		w := httptest.NewRecorder()
		pages.Write(w, http.StatusOK, name, frame.Head{}, "text")
		if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "begun") {
			t.Errorf("%s page = %d %q, want 500 and no half page", name, w.Code, w.Body)
		}
	}
	if _, err := frame.Parse(fstest.MapFS{"pages/x.html": {Data: []byte("hello")}}, "pages", frame.Role{}, "/"); err == nil {
		t.Error("a page without content parses")
	}
}

// TestStreamEnds: at a change, when time is up, and when the visitor leaves.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		changed := make(chan struct{})
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		for name, test := range map[string]struct {
			cause func()
			want  bool
		}{
			"change":  {func() { close(changed) }, true},
			"time up": {func() {}, true}, // the bubble's clock runs by itself
			"leaving": {leave, false},
		} {
			on, within := make(chan struct{}), time.Minute
			if name == "change" {
				on, within = changed, time.Hour
			}
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			if name == "leaving" {
				request = request.WithContext(ctx)
				within = time.Hour
			}
			w := httptest.NewRecorder()
			ended := make(chan struct{})
			go func() {
				frame.Stream(w, request, on, within)
				close(ended)
			}()
			synctest.Wait()
			test.cause()
			<-ended
			if got := strings.Contains(w.Body.String(), "event: changed"); got != test.want {
				t.Errorf("%s: event = %v, want %v", name, got, test.want)
			}
		}
	})
}
