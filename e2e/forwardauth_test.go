// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// The app stands behind nginx, as the example shows it, and nginx asks the gate.
func TestForwardAuthFromNginx(t *testing.T) {
	t.Parallel()
	askedByAProxy(t, startNginx)
}

// The app stands behind another Caddy, as the example shows it, and its forward_auth asks the gate.
func TestForwardAuthFromAnotherCaddy(t *testing.T) {
	t.Parallel()
	askedByAProxy(t, func(w *world, gate string) {
		certificate, key := w.certificateFiles()
		text := strings.NewReplacer(
			"payroll.contoso.com {", w.origin+" {\n\ttls "+certificate+" "+key, "127.0.0.1:8081", gate, "127.0.0.1:8080", w.app.address,
		).Replace(example(t, "forward-auth-caddy", "Caddyfile"))
		caddyprocess.Start(t, t.TempDir(), "{\n\tdefault_bind 127.0.0.1\n\tauto_https disable_redirects\n}\n"+text)
	})
}

// The app stands behind HAProxy, as the example shows it, and its Lua script asks the gate.
func TestForwardAuthFromHAProxy(t *testing.T) {
	t.Parallel()
	askedByAProxy(t, startHAProxy)
}

// example is a file of the examples.
func example(t *testing.T, folder, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "examples", folder, name))
	if err != nil {
		t.Fatalf("reading an example: %v", err)
	}
	return string(content)
}

// askedByAProxy takes a visitor through a site whose proxy asks the gate: into the app, up a step, out; and attackers against it.
func askedByAProxy(t *testing.T, front func(w *world, gate string)) {
	t.Helper()
	gate := fmt.Sprintf("127.0.0.1:%d", caddyprocess.FreePort(t))
	_, port, err := net.SplitHostPort(gate)
	if err != nil {
		t.Fatal(err)
	}
	text := example(t, "forward-auth-gate", "Caddyfile")
	_, sites, _ := strings.Cut(text, "\n}\n")
	w := newWorld(t, plan{
		global: "servers {\n\t\ttrusted_proxies static 127.0.0.1/32 ::1/128\n\t\ttrusted_proxies_strict\n\t}",
		app:    "public_url ORIGIN\n\t\tforward_auth",
		// The step up is one that a test can take at once.
		sites: strings.NewReplacer(":8081", ":"+port, "max_age 10m", "face_check 95").Replace(sites),
	})
	front(w, gate)

	v := newVisitor(t)
	v.open(w.origin + "/payroll?month=3")
	v.click(haveCard)
	if outcome := w.share(w.scan(v), emulator.ShareOptions{FaceScore: 85}); !outcome.Accepted {
		t.Fatalf("the wallet says %+v", outcome)
	}
	w.expectIn(v, "/payroll?month=3")
	if got := v.read("#name"); got != "Ana Lima" {
		t.Errorf("the app believes that the visitor is %q", got)
	}

	v.open(w.origin + "/admin/users")
	v.click(haveCard)
	if outcome := w.share(w.scan(v), emulator.ShareOptions{FaceScore: 99}); !outcome.Accepted {
		t.Fatalf("the wallet says %+v", outcome)
	}
	w.expectIn(v, "/admin/users")

	status := evaluate[int](v, `document.cookie = 'theme=dark; path=/', fetch('/own', {method: 'POST', headers: {'X-Employee-Name': 'Mallory'}}).then(a => a.status)`)
	if status != http.StatusOK {
		t.Errorf("a form of the app's is answered %d", status)
	}
	last := w.app.seen()[len(w.app.seen())-1]
	if last.Method != http.MethodPost || last.Header.Get("X-Employee-Name") != "Ana Lima" || strings.TrimLeft(last.Header.Get("Cookie"), "; ") != "theme=dark" {
		t.Errorf("the app got %s with %v", last.Method, last.Header)
	}

	var cookies []string
	for _, c := range v.cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	w.expectNoWayAround(strings.Join(cookies, "; "))

	v.open(w.origin + "/.verified-id/logout")
	v.click(logoutButton)
	v.see(signInAgain)
	v.open(w.origin + "/payroll")
	v.see(haveCard)
	before := len(w.app.seen())
	if got, _ := w.call(http.MethodGet, "/payroll", http.Header{"Cookie": {strings.Join(cookies, "; ")}}); got != http.StatusUnauthorized {
		t.Errorf("a copy of the cookies is answered %d after the logout", got)
	}
	if after := len(w.app.seen()); after != before {
		t.Error("a copy of the cookies opens the app after the logout")
	}
}

// forgedHeaders claim an identity, in spellings that some apps fold into the right one, and another address than the one asked
// for, in every header that some proxy or server reads one from.
func forgedHeaders() http.Header {
	forged := http.Header{}
	for _, name := range []string{"X-Verified-Id-Subject", "X-Verified-Id-Type", "X-Employee-Name", "X-Employee-Mail"} {
		forged[name] = []string{"Mallory", "Mallory"}
		for _, separator := range []string{"_", ".", "!", "~"} {
			forged[strings.ReplaceAll(name, "-", separator)] = []string{"Mallory"}
		}
	}
	for _, name := range []string{"X-Forwarded-Uri", "X-Original-Url", "X-Rewrite-Url", "X-Original-Uri", "X_Forwarded_Uri"} {
		forged[name] = []string{"/health", "/health"}
	}
	forged["X-Forwarded-Method"] = []string{"OPTIONS"}
	forged["X-Forwarded-Host"] = []string{"evil.example"}
	forged["X-Forwarded-For"] = []string{"127.0.0.1"}
	return forged
}

// expectNoWayAround is what attackers try by way of the proxy, with and without a session. TM-001, TM-002, TM-010, TM-108.
func (w *world) expectNoWayAround(cookies string) {
	w.t.Helper()
	before := len(w.app.seen())
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodOptions} {
		if got, _ := w.call(method, "/payroll", forgedHeaders()); got != http.StatusUnauthorized {
			w.t.Errorf("a stranger's %s is answered %d", method, got)
		}
	}
	for _, path := range []string{
		"/.verified-id/auth", "/.verified-id/auth?status=401", "/.verified-id/%61uth", "/.verified-id/auth/", "/.verified-id/../payroll",
		"/.verified-id", "/health/../payroll", "/health;/../payroll", "/health%2f..%2fpayroll", "//health",
	} {
		header := forgedHeaders()
		if strings.HasPrefix(path, "/.verified-id") {
			header.Set("Cookie", cookies)
		}
		if got, subject := w.call(http.MethodGet, path, header); got == http.StatusOK || subject != "" {
			w.t.Errorf("%s is answered %d for %q", path, got, subject)
		}
	}
	for _, r := range w.app.seen()[before:] {
		w.t.Errorf("%s %s reached the app", r.Method, r.RequestURI)
	}
	if got, _ := w.call(http.MethodGet, "/health", forgedHeaders()); got != http.StatusOK {
		w.t.Errorf("the open page is answered %d", got)
	}
	forged := forgedHeaders()
	forged.Set("Cookie", cookies)
	if got, _ := w.call(http.MethodGet, "/payroll", forged); got != http.StatusOK {
		w.t.Errorf("a visitor with a session is answered %d", got)
	}
	w.expectNoHeader("Mallory")
	w.expectNoHeader("verified")
	seen := w.app.seen()
	if last := seen[len(seen)-1]; !slices.Equal(last.Header["X-Employee-Name"], []string{"Ana Lima"}) || len(last.Header["X-Verified-Id-Subject"]) != 1 {
		w.t.Errorf("the app got %v", last.Header)
	}
}

// call sends one request as a program does, follows nothing, and returns the status and who the answer says somebody is.
func (w *world) call(method, path string, header http.Header) (status int, subject string) {
	w.t.Helper()
	client := *w.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.origin, http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	r.URL.Opaque = "//" + r.URL.Host + path // as it is written
	r.Header = header.Clone()
	response, err := client.Do(r)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return response.StatusCode, response.Header.Get("X-Verified-Id-Subject")
}

// startNginx runs nginx with the example's configuration until the test ends; only names, ports and files are others.
func startNginx(w *world, gate string) {
	w.t.Helper()
	home := w.t.TempDir()
	certificate, key := w.certificateFiles()
	address := strings.Replace(strings.TrimPrefix(w.origin, "https://"), "localhost", "127.0.0.1", 1)
	folders := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		folders += "\n\t" + kind + "_temp_path " + filepath.Join(home, kind) + ";"
	}
	config := "pid " + filepath.Join(home, "pid") + ";\n" + strings.NewReplacer(
		"http {\n", "http {\n\taccess_log off;"+folders+"\n", "listen 443 ssl", "listen "+address+" ssl",
		"server_name payroll.contoso.com", "server_name localhost",
		"/etc/nginx/payroll.pem", certificate, "/etc/nginx/payroll.key", key,
		"127.0.0.1:8081", gate, "127.0.0.1:8080", w.app.address,
	).Replace(example(w.t, "forward-auth-nginx", "nginx.conf"))
	if os.Geteuid() == 0 {
		config = "user root;\n" + config // the workers must reach the test's folders
	}
	w.startProxy(address, "nginx", "-p", home, "-e", "stderr", "-g", "daemon off;", "-c", w.file("nginx.conf", []byte(config)))
}

// startHAProxy does the same with HAProxy.
func startHAProxy(w *world, gate string) {
	w.t.Helper()
	address := strings.Replace(strings.TrimPrefix(w.origin, "https://"), "localhost", "127.0.0.1", 1)
	certificate, key := w.certificateFiles()
	both := ""
	for _, name := range []string{certificate, key} {
		content, err := os.ReadFile(name)
		if err != nil {
			w.t.Fatal(err)
		}
		both += string(content)
	}
	replace := strings.NewReplacer(
		"bind :443", "bind "+address, "127.0.0.1:8081", gate, "127.0.0.1:8080", w.app.address,
		"/etc/haproxy/payroll.pem", w.file("both.pem", []byte(both)), "/etc/haproxy/verified_id.lua", filepath.Join(w.home, "verified_id.lua"),
	)
	w.file("verified_id.lua", []byte(replace.Replace(example(w.t, "forward-auth-haproxy", "verified_id.lua"))))
	config := replace.Replace(example(w.t, "forward-auth-haproxy", "haproxy.cfg"))
	w.startProxy(address, "haproxy", "-db", "-f", w.file("haproxy.cfg", []byte(config)))
}

// startProxy runs a program until the test ends, and returns when it listens.
func (w *world) startProxy(address, program string, arguments ...string) {
	w.t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path = filepath.Join("/usr/sbin", program) // not everybody has it on their path
	}
	said, ended := caddyprocess.NewLog(), make(chan struct{})
	// The test's own context ends before its cleanup, which is where the proxy is asked to stop.
	proxy := exec.CommandContext(context.WithoutCancel(w.t.Context()), path, arguments...)
	proxy.Stdout, proxy.Stderr = said, said
	if err := proxy.Start(); err != nil {
		w.t.Fatalf("starting %s (Debian: apt-get install %s): %v", program, program, err)
	}
	go func() {
		defer close(ended)
		if err := proxy.Wait(); err != nil {
			fmt.Fprintln(said, err)
		}
	}()
	w.t.Cleanup(func() {
		if err := proxy.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			w.t.Errorf("stopping %s: %v", program, err)
		}
		<-ended
		if w.t.Failed() {
			w.t.Logf("%s says:\n%s", program, said)
		}
	})
	for {
		connection, err := new(net.Dialer).DialContext(w.t.Context(), "tcp", address)
		if err == nil {
			if err := connection.Close(); err != nil {
				w.t.Error(err)
			}
			return
		}
		select {
		case <-ended:
			w.t.Fatalf("%s has ended", program)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
