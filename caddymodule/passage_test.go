// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// plainClient speaks HTTP/1.1; requests have a deadline of their own.
var plainClient = new(http.Client)

// lastingApp answers as apps do whose answers last. It tells of long polls that have begun, and of every answer that is over.
func lastingApp(x *wireTarget) (polled, ended <-chan string) {
	began, over := make(chan string, 100), make(chan string, 100)
	x.behind.mu.Lock()
	defer x.behind.mu.Unlock()
	x.behind.answer = func(w http.ResponseWriter, r *http.Request) {
		defer func() { over <- r.URL.Path }()
		control := http.NewResponseController(w)
		switch r.URL.Path {
		case "/socket":
			conn, buffered, err := control.Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
			_, _ = io.Copy(conn, buffered)
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: 1\n\n")
			_ = control.Flush()
			<-r.Context().Done()
		case "/flood": // never stops to write
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		case "/poll":
			began <- r.URL.Path
			<-r.Context().Done()
		default:
			fmt.Fprint(w, "the app")
		}
	}
	return began, over
}

// lasting is a request that is under way. Its reader fails or ends when it is cut.
type lasting struct{ body io.Reader }

// until reads what is left, for as long as the connection lasts.
func (l lasting) until(t *testing.T) (bytes int64) {
	t.Helper()
	n, _ := io.Copy(io.Discard, l.body)
	return n
}

// get sends a request and waits for the beginning of its answer, if it has one by now.
func (x *wireTarget) get(t *testing.T, client *http.Client, base, path, cookie string, waits bool) lasting {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host, r.Header = "payroll.contoso.example", http.Header{"Cookie": {cookie}}
	if waits {
		reader, writer := io.Pipe()
		go func() {
			response, err := client.Do(r)
			if err == nil {
				err = fmt.Errorf("status %d", response.StatusCode)
				response.Body.Close()
			}
			writer.CloseWithError(err)
		}()
		return lasting{reader}
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if _, err := io.ReadFull(response.Body, make([]byte, 4)); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s begins with %d, %v", path, response.StatusCode, err)
	}
	return lasting{response.Body}
}

// socket opens a WebSocket and sends something through it and back.
func (x *wireTarget) socket(t *testing.T, cookie string) lasting {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", x.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, wireLines("GET /socket HTTP/1.1", "Host: payroll.contoso.example", "Cookie: "+cookie,
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil) //nolint:bodyclose // there is none
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("no WebSocket: %v, %v", response, err)
	}
	fmt.Fprint(conn, "ping\n")
	if line, err := reader.ReadString('\n'); line != "ping\n" {
		t.Fatalf("the WebSocket says %q, %v", line, err)
	}
	return lasting{reader}
}

const lastingSites = `:80 {
	verified_id {
		max_age 30m
	}
	@files path /files/*
	root * {root}
	file_server @files
	reverse_proxy {app}
}`

// lastingTarget is a site with an app whose answers last, and with a large file.
func lastingTarget(t *testing.T) *wireTarget {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "files"), 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(root, "files", "large"))
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(largeFile); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return attack(t, "", strings.ReplaceAll(lastingSites, "{root}", root))
}

// largeFile is more than all buffers on the way.
const largeFile = 256 << 20

// Ana logs out, or is thrown out, or her day is over. The WebSocket that a copy of her browser holds open, or an attacker with
// her cookie, goes on to tell her salary for as long as it likes: nothing asks for the cookie any more. TM-112.
func TestOpenStreamOutlivesItsSession(t *testing.T) {
	ends := map[string]func(*testing.T, *wireTarget, *session.Session){
		"logout":  func(t *testing.T, x *wireTarget, s *session.Session) { x.logout(t, s) },
		"subject": func(t *testing.T, x *wireTarget, s *session.Session) { x.end(t, verifier.RevokeSubject, s.Subject) },
		"issuer":  func(t *testing.T, x *wireTarget, _ *session.Session) { x.end(t, verifier.RevokeIssuer, testIssuer) },
		"all":     func(t *testing.T, x *wireTarget, _ *session.Session) { x.end(t, verifier.RevokeAll, "") },
		"time":    func(_ *testing.T, _ *wireTarget, s *session.Session) { setNow(s.Expires) },
		"max age": func(_ *testing.T, _ *wireTarget, s *session.Session) {
			setNow(s.Presentations[0].VerifiedAt.Add(30*time.Minute + time.Second))
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			x := lastingTarget(t)
			polled, ended := lastingApp(x)
			server, second := x.secure(t)
			plain := "http://" + x.address
			g := x.gate(t, nil)
			held, cookie := sessionOf(g, presentation(g))
			open := map[string]lasting{
				"socket":            x.socket(t, cookie),
				"events":            x.get(t, plainClient, plain, "/events", cookie, false),
				"events, HTTP/2":    x.get(t, second, server.URL, "/events", cookie, false),
				"flood":             x.get(t, plainClient, plain, "/flood", cookie, false),
				"long poll":         x.get(t, plainClient, plain, "/poll", cookie, true),
				"long poll, HTTP/2": x.get(t, second, server.URL, "/poll", cookie, true),
			}
			download := x.get(t, plainClient, plain, "/files/large", cookie, false)
			for range 2 { // the others have answered
				<-polled
			}
			setNow(testNow.Add(finishing))
			end(t, x, held)
			for _, l := range open {
				l.until(t)
			}
			for range open {
				select {
				case <-ended:
				case <-time.After(20 * time.Second):
					t.Fatal("the app still answers somebody whose session is over")
				}
			}
			if got := download.until(t); got >= largeFile-4 {
				t.Error("the file came down whole")
			}
		})
	}
}

// end tells this node of a revocation, as the store does.
func (x *wireTarget) end(t *testing.T, kind verifier.RevocationKind, value string) {
	t.Helper()
	now := clockNow()
	if err := x.app.store.end(t.Context(), verifier.Revocation{Kind: kind, Value: value, Since: now, Until: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
}

// logout logs out in another tab of the browser.
func (x *wireTarget) logout(t *testing.T, held *session.Session) {
	t.Helper()
	g := x.gate(t, nil)
	b := newBrowser(t, g)
	b.cookies[g.site.session.Name] = g.site.seal(held)
	page, _ := b.open(basePath + "/logout")
	b.post(basePath+"/logout", url.Values{"token": {tokenIn(t, page.Body.String())}})
}

// Ana watches a dashboard all day, which is a WebSocket and nothing else. Her session idles meanwhile, and that alone must not cut
// it; nor must the end of another person's session. A session that is over opens no new one.
func TestStreamOfLivingSessionStays(t *testing.T) {
	x := lastingTarget(t)
	lastingApp(x)
	x.app.Session.Idle /= 4 // to 15 minutes
	g := x.gate(t, nil)
	_, cookie := sessionOf(g, presentation(g))
	x.socket(t, cookie)
	setNow(testNow.Add(20 * time.Minute))
	x.end(t, verifier.RevokeSubject, "somebody else")
	x.app.store.passages.sweep(false)
	if _, running := x.app.store.passages.count(); running != 1 {
		t.Error("the WebSocket of a session that only idles was cut")
	}
	if answers := x.raw(t, wireLines("GET / HTTP/1.1", "Host: payroll.contoso.example", "Cookie: "+cookie, "Connection: close")); answers[0].status != http.StatusUnauthorized {
		t.Errorf("a new request of the idle session is answered %d", answers[0].status)
	}
}

// count says how many passages are watched, and how many of them are not cut.
func (l *passages) count() (all, running int) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for p := s.first; p != nil; p = p.next {
			all++
			if !p.over.Load() {
				running++
			}
		}
		s.mu.Unlock()
	}
	return all, running
}

// A form that was sent in the last moment of a session is answered, and a site that only reports, or lets anybody pass, cuts
// nothing.
func TestWhatIsNotCut(t *testing.T) {
	for name, site := range map[string]string{
		"young": "verified_id", "report only": "verified_id {\n report_only\n}", "public": "verified_id {\n public /socket\n}",
	} {
		t.Run(name, func(t *testing.T) {
			x := attack(t, "", ":80 {\n"+site+"\nreverse_proxy {app}\n}")
			lastingApp(x)
			g := x.gate(t, nil)
			held, cookie := sessionOf(g, presentation(g))
			x.socket(t, cookie)
			if name != "young" {
				setNow(testNow.Add(finishing))
			}
			x.logout(t, held)
			x.app.store.passages.sweep(false)
			if all, running := x.app.store.passages.count(); all != running {
				t.Errorf("%d of %d were cut", all-running, all)
			}
		})
	}
}

// When the store is given back, by a reload that changes it, nobody tells the old one's passages of logouts: they end. And
// every request that ends is forgotten.
func TestPassagesEndWithTheirStore(t *testing.T) {
	x := lastingTarget(t)
	lastingApp(x)
	g := x.gate(t, nil)
	_, cookie := sessionOf(g, presentation(g))
	for range 50 {
		x.get(t, plainClient, "http://"+x.address, "/", cookie, false)
	}
	socket := x.socket(t, cookie)
	if all, _ := x.app.store.passages.count(); all != 1 {
		t.Errorf("%d passages are watched, want the one that runs", all)
	}
	setNow(testNow.Add(finishing))
	old := x.app.store
	x.app.store = newSharedStore(verifier.NewMemoryStore(verifier.MemoryConfig{Now: clockNow}), clockNow)
	if err := old.Destruct(); err != nil {
		t.Error(err)
	}
	socket.until(t)
}

// The answer to a long poll that comes after the end says nothing, whatever the app writes.
func TestLateAnswerIsEmpty(t *testing.T) {
	for name, write := range map[string]func(http.ResponseWriter) error{
		"write":     func(w http.ResponseWriter) error { _, err := io.WriteString(w, "salary"); return err },
		"read from": func(w http.ResponseWriter) error { _, err := io.Copy(w, strings.NewReader("salary")); return err },
		"flush":     func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
	} {
		_, ctx := loadApp(t, testApp(""))
		g := loadGate(t, ctx, "verified_id")
		held, cookie := sessionOf(g, presentation(g))
		w := httptest.NewRecorder()
		late := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			setNow(held.Expires)
			g.app.store.passages.sweep(false)
			w.Header().Set("Location", "/salary")
			if name != "flush" {
				w.WriteHeader(http.StatusOK)
			}
			if write(w) == nil {
				t.Errorf("%s: no error", name)
			}
			return nil
		})
		if err := g.ServeHTTP(w, request("GET", testOrigin+"/poll", http.Header{"Cookie": {cookie}}), late); err != nil {
			t.Fatal(err)
		}
		if w.Body.Len() != 0 || name != "flush" && (w.Code != http.StatusUnauthorized || w.Header().Get("Location") != "") {
			t.Errorf("%s: %d with %v and %q", name, w.Code, w.Header(), w.Body)
		}
		setNow(testNow)
	}
}

// On HTTP/3 a deadline ends no context, and so no request to the app: a silent stream would stay open behind the proxy. The
// others are told by net/http, and cost no context of their own.
func TestSilentStreamOverHTTP3(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	held, cookie := sessionOf(g, presentation(g))
	for major, want := range map[int]bool{1: false, 2: false, 3: true} {
		setNow(testNow)
		silent := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			if r.Context().Err() != nil {
				t.Errorf("HTTP/%d: begins with an ended context", major)
			}
			setNow(held.Expires)
			g.app.store.passages.sweep(false)
			if got := r.Context().Err() != nil; got != want {
				t.Errorf("HTTP/%d: the context is ended: %v, want %v", major, got, want)
			}
			return nil
		})
		r := request("GET", testOrigin+"/events", http.Header{"Cookie": {cookie}})
		r.ProtoMajor = major
		if err := g.ServeHTTP(httptest.NewRecorder(), r, silent); err != nil {
			t.Error(err)
		}
		if r.Context().Err() != nil {
			t.Errorf("HTTP/%d: the error routes would run with an ended context", major)
		}
	}
}
