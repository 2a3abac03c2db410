// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddy-verified-id/caddy-verified-id/internal/canary"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// wireTarget is a loaded Caddyfile with its gates, served on a loopback port, so that attackers can send any bytes. The app
// behind it writes down what reached it.
type wireTarget struct {
	app     *App
	ctx     caddy.Context
	server  *caddyhttp.Server
	address string
	log     string
	behind  *wireApp
}

// wireRequest is one request as the app behind the gate saw it.
type wireRequest struct {
	method, uri, host, body string
	header, trailer         http.Header
}

// wireApp is the app behind the gate.
type wireApp struct {
	*httptest.Server
	mu       sync.Mutex
	requests []wireRequest
	answer   func(http.ResponseWriter, *http.Request)
}

func newWireApp(t testing.TB) *wireApp {
	t.Helper()
	u := &wireApp{}
	u.Server = httptest.NewServer(u)
	t.Cleanup(u.Close)
	return u
}

func (u *wireApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		body = []byte("unreadable: " + err.Error())
	}
	u.mu.Lock()
	u.requests = append(u.requests, wireRequest{
		method: r.Method, uri: r.RequestURI, host: r.Host, body: string(body), header: r.Header.Clone(), trailer: maps.Clone(r.Trailer),
	})
	answer := u.answer
	u.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	fmt.Fprint(w, "the app")
}

// take is what reached the app since the last call.
func (u *wireApp) take() []wireRequest {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := u.requests
	u.requests = nil
	return out
}

// attack loads a Caddyfile whose app stands at {app}, and serves the server on port 80 on a loopback port. Options of Caddy itself
// stand in a block before the sites.
func attack(t testing.TB, options, sites string) *wireTarget {
	t.Helper()
	t.Setenv("VERIFIED_ID_TEST_SECRET", "a secret for tests only")
	behind := newWireApp(t)
	global := ""
	if rest, ok := strings.CutPrefix(sites, "{\n"); ok { // options of Caddy's own
		global, sites, _ = strings.Cut(rest, "\n}\n")
	}
	text := "{\n" + global + "\n" + testApp(options) + "\n}\n" + sites
	text = strings.ReplaceAll(text, "{app}", strings.TrimPrefix(behind.URL, "http://"))
	config, _, err := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}.Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatalf("adapting: %v\n%s", err, text)
	}
	cfg := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(config, cfg); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	cfg.Admin = &caddy.AdminConfig{Disabled: true}
	cfg.StorageRaw = wireJSON(map[string]string{"module": "file_system", "root": filepath.Join(dir, "storage")})
	cfg.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {
		BaseLog: caddy.BaseLog{WriterRaw: wireJSON(map[string]string{"output": "file", "filename": log}), Level: "DEBUG"},
	}}}
	ctx, err := caddy.ProvisionContext(cfg)
	if err != nil {
		t.Fatalf("provisioning: %v\n%s", err, text)
	}
	cancelling, cancel := caddy.NewContext(ctx)
	t.Cleanup(cancel)
	out := &wireTarget{ctx: cancelling, log: log, behind: behind}
	t.Cleanup(func() { expectSilence(t, out.logged(t)) })
	loaded, err := ctx.App("verified_id")
	if err != nil {
		t.Fatal(err)
	}
	app, ok := loaded.(*App)
	if !ok {
		t.Fatalf("the app is a %T", loaded)
	}
	out.app = app
	setNow(testNow)
	out.app.now = clockNow
	out.app.limiter = newLimiter(out.app.Limits)
	out.app.store = newSharedStore(verifier.NewMemoryStore(verifier.MemoryConfig{Now: clockNow}), clockNow)
	t.Cleanup(func() {
		if err := out.app.store.Destruct(); err != nil {
			t.Error(err)
		}
	})
	loadedHTTP, err := ctx.App("http")
	if err != nil {
		t.Fatal(err)
	}
	httpApp, ok := loadedHTTP.(*caddyhttp.App)
	if !ok {
		t.Fatalf("the http app is a %T", loadedHTTP)
	}
	for _, server := range httpApp.Servers {
		out.server = server
		for _, listen := range server.Listen {
			if strings.HasSuffix(listen, ":80") {
				out.address = serveOnLoopback(t, server)
				return out
			}
		}
	}
	return out // sites with TLS only, to be looked at
}

func wireJSON(value map[string]string) []byte {
	var parts []string
	for key, v := range value {
		parts = append(parts, fmt.Sprintf("%q:%q", key, v))
	}
	return []byte("{" + strings.Join(parts, ",") + "}")
}

func serveOnLoopback(t testing.TB, handler http.Handler) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener) //nolint:errcheck // ends with the test
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// gate is a gate of the target, found by what it demands.
func (x *wireTarget) gate(t testing.TB, found func(*Gate) bool) *Gate {
	t.Helper()
	for _, g := range x.app.gates.gates {
		if found == nil || found(g) {
			return g
		}
	}
	t.Fatal("no such gate")
	return nil
}

// cookie is a session's cookie for a gate of the target.
func (x *wireTarget) cookie(t testing.TB) string {
	t.Helper()
	g := x.gate(t, nil)
	_, cookie := sessionOf(g, presentation(g))
	return cookie
}

// wireAnswer is what came back for raw bytes.
type wireAnswer struct {
	status int
	header http.Header
	body   string
}

// raw sends bytes as they are and reads every answer until the server closes or falls silent.
func (x *wireTarget) raw(t testing.TB, bytes string) []wireAnswer {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", x.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, bytes); err != nil {
		t.Fatal(err)
	}
	var out []wireAnswer
	reader := bufio.NewReader(conn)
	for {
		response, err := http.ReadResponse(reader, nil) //nolint:bodyclose // the connection is closed as a whole
		if err != nil {
			return out
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Logf("an answer ended early: %v", err)
		}
		out = append(out, wireAnswer{response.StatusCode, response.Header, string(body)})
	}
}

// wireLines joins lines of a request head as HTTP does.
func wireLines(text ...string) string { return strings.Join(text, "\r\n") + "\r\n\r\n" }

// logged is what Caddy logged so far, at every level.
func (x *wireTarget) logged(t testing.TB) string {
	t.Helper()
	content, err := os.ReadFile(x.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// expectSilence complains about lines of a log that hold what is secret or personal. What reverse_proxy itself logs at DEBUG, the
// headers for the app, is F14 and in the manual.
func expectSilence(t testing.TB, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		if what, _ := canary.Find(line); what != "" && !strings.Contains(line, `"logger":"http.handlers.reverse_proxy"`) {
			t.Errorf("the log tells %s: %.300s", what, line)
		}
	}
}
