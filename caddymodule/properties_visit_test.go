// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// everyKindOfVisit has people come in, be refused, be sent to a partner, go, meet a broken service, and strangers try their
// luck. What happened stands in the site; the secrets of it all are returned by name.
func everyKindOfVisit(t *testing.T, s *liveSite) (secrets map[string]string) {
	t.Helper()
	secrets = map[string]string{"client secret": s.service.ClientSecret}
	ana, ben := s.guest(), s.guest()
	link, wait, token := ana.code("/payroll?year=2026")
	secrets["page token"] = token
	ana.do("GET", strings.Replace(wait, "/wait", "/status", 1), nil, http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}})
	if outcome := s.service.Share(link, emulator.ShareOptions{FaceScore: 93}); !outcome.Accepted {
		t.Fatalf("the wallet says %+v", outcome)
	}
	ana.do("GET", strings.Replace(wait, "/wait", "/events", 1), nil, http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Accept": {"text/event-stream"}})
	if got := ana.finish(wait, token); got.status != http.StatusOK {
		t.Fatalf("finish: status %d", got.status)
	}
	if got := ana.open("/payroll?year=2026"); got.status != http.StatusOK {
		t.Fatalf("payroll: status %d", got.status)
	}
	ana.open(basePath + "/session")
	ana.do("GET", basePath+"/session", nil, http.Header{"Accept": {"application/json"}, "Sec-Fetch-Mode": {"cors"}})

	link, wait, token = ben.code("/")
	s.service.Share(link, emulator.ShareOptions{FaceScore: 55})
	ben.finish(wait, token)
	ben.open(wait)
	start := ben.open(basePath + "/start")
	idv := ben.do("POST", basePath+"/idv", url.Values{"token": {tokenIn(t, start.body)}, "credential": {"employee"}, "partner": {"fabrikam"}}, nil)
	partner, err := url.Parse(onward(&httptest.ResponseRecorder{Body: bytes.NewBufferString(idv.body)}))
	if err != nil || partner.Query().Get("token") == "" {
		t.Fatalf("idv: status %d (%v)", idv.status, err)
	}
	secrets["kickstart token"] = partner.Query().Get("token")
	ben.open(basePath + "/return?RequestId=x")
	ben.open(basePath + "/jwks.json")

	s.service.Faults().Inject(emulator.APICreatePresentation, emulator.Fault{Status: http.StatusBadRequest})
	ben.do("POST", basePath+"/request", url.Values{"token": {tokenIn(t, start.body)}, "credential": {"employee"}}, nil)
	s.service.Faults().Clear()
	ben.do("POST", basePath+"/callback", url.Values{"state": {"x"}}, http.Header{"Authorization": {"Bearer CANARY.CANARY"}})
	logout := ana.open(basePath + "/logout")
	ana.do("POST", basePath+"/logout", url.Values{"token": {tokenIn(t, logout.body)}}, nil)
	ana.open("/payroll")

	for i, key := range s.keys {
		_, secret, _ := strings.Cut(key, ".")
		if secret == "CANARY" {
			continue
		}
		if len(secret) < 40 {
			t.Fatalf("callback %d came with the key %q", i, key)
		}
		secrets["callback key "+secret[:4]] = secret
	}
	for value := range maps.Keys(ana.all) {
		secrets["cookie of Ana "+value[:min(len(value), 4)]] = value
	}
	for value := range maps.Keys(ben.all) {
		secrets["cookie of Ben "+value[:min(len(value), 4)]] = value
	}
	for i, key := range s.storedSecrets() {
		secrets["stored key "+string(rune('a'+i))] = key
	}
	maps.DeleteFunc(secrets, func(_, value string) bool { return value == "" }) // of cookies that were cleared
	return secrets
}

const liveGate = `SITE {
	log
	verified_id {
		header X-Employee-Name {claim.displayName}
		header X-Employee-Mail {claim.mail}
	}
	respond "hello {http.verified_id.claims.displayName}"
	handle_errors {
		respond "error {err.message}"
	}
}`

// Somebody reads the logs: the operator's helpers, the log collector's, whoever gets a copy for a ticket. In everything that
// Caddy and we print of all kinds of visits, at the level that prints most, there is no secret, no claim and no body; a
// person is a word that nobody else can compute. TM-141, TM-142, TM-092, TM-017.
func TestLogHoldsNoSecretAndNoClaim(t *testing.T) {
	withLiveSite(t, liveGate, func(s *liveSite) {
		secrets := everyKindOfVisit(t, s)
		logged := s.m.logged(t)
		for name, secret := range secrets {
			if strings.Contains(logged, secret) {
				t.Errorf("the log holds the %s: %s", name, around(logged, secret))
			}
		}
		for _, claim := range []string{
			"Ana Lima", "ana.lima", "Lima", s.service.Wallet().DID(), "did:ion:", "matchConfidenceScore", "verifiedCredentialsData", "client_secret=", "PRIVATE KEY", "eyJ",
		} {
			if strings.Contains(logged, claim) {
				t.Errorf("the log holds %q: %s", claim, around(logged, claim))
			}
		}
		for _, line := range []string{`"msg":"session_started"`, `"msg":"presentation_refused"`, `"msg":"idv_started"`, `"msg":"session_ended"`, `"msg":"handled request"`, `"level":"debug"`, "the Request Service refused"} {
			if !strings.Contains(logged, line) {
				t.Errorf("the log has no line with %s; the test no longer shows much", line)
			}
		}
		// {http.auth.user.id} is what Caddy prints of a person in each line of the access log.
		subject := ""
		for line := range strings.Lines(logged) {
			var entry struct {
				UserID  string `json:"user_id"`
				Message string `json:"msg"`
				Subject string `json:"subject"`
			}
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if entry.Message == "session_started" {
				subject = entry.Subject
			}
			if entry.UserID != "" && (entry.UserID != subject || len(subject) != 22) {
				t.Errorf("user_id %q, want the keyed subject %q", entry.UserID, subject)
			}
		}
		if subject == "" {
			t.Error("no session was started")
		}
	})
}

// around is the neighbourhood of a find.
func around(text, find string) string {
	at := strings.Index(text, find)
	return text[max(0, at-120):min(len(text), at+len(find)+40)]
}

// Addresses are printed in every log, kept in histories, passed on as Referer. No address of ours, asked for or led to, holds
// what opens anything. TM-144, TM-029.
func TestAddressesHoldNoSecret(t *testing.T) {
	withLiveSite(t, liveGate, func(s *liveSite) {
		secrets := everyKindOfVisit(t, s)
		for i, body := range s.bodies {
			var got struct {
				State string `json:"state"`
			}
			if json.Unmarshal([]byte(body), &got) == nil && got.State != "" {
				secrets["state "+string(rune('a'+i))] = got.State
			}
		}
		ours := 0
		for _, uri := range s.uris {
			if strings.HasPrefix(uri, "https://idv.example/") || strings.Contains(uri, "url=https://idv.example/") {
				continue // the partner's: the token is for the partner
			}
			if strings.HasPrefix(uri, basePath) {
				ours++
			}
			decoded, err := url.QueryUnescape(uri)
			if err != nil {
				decoded = uri
			}
			for name, secret := range secrets {
				if strings.Contains(uri, secret) || strings.Contains(decoded, secret) {
					t.Errorf("%.200s holds the %s", uri, name)
				}
			}
		}
		if ours < 40 {
			t.Errorf("only %d addresses of ours were seen", ours)
		}
	})
}

// Strangers write line breaks, terminal codes and whole log lines into everything they send. Each line of the log is still one
// line, of ours; and what we write of a request holds nothing of it. TM-143, TM-146.
func TestLogCannotBeWrittenByStrangers(t *testing.T) {
	withLiveSite(t, liveGate, func(s *liveSite) {
		const marker = "MARKER4711"
		hostile := "\r\n{\"level\":\"error\",\"msg\":\"" + marker + "\"}\x1b[2J\x1b]0;" + marker + "\x07\u2028\u202e" + strings.Repeat("x", 5000)
		b := s.guest()
		for _, path := range []string{basePath + "/start?v=", basePath + "/wait?t=", basePath + "/status?t=", basePath + "/return?RequestId=", basePath + "/", "/", basePath + "/events?t="} {
			for _, method := range []string{"GET", "POST"} {
				r := httptest.NewRequestWithContext(t.Context(), method, s.url+path+url.QueryEscape(hostile), http.NoBody)
				r.Header = http.Header{"User-Agent": {hostile}, "Referer": {hostile}, "Accept": {"text/html"}, "X-Forwarded-For": {hostile}, "Origin": {hostile}}
				r.Header.Set("Cookie", "insecure-verified-id="+marker)
				w := httptest.NewRecorder()
				s.serve(w, r)
				if strings.Contains(w.Body.String(), "error ") && strings.Contains(w.Body.String(), marker) {
					t.Errorf("%s %s: an error repeats the request: %s", method, path, w.Body)
				}
			}
		}
		start := b.open(basePath + "/start")
		b.do("POST", basePath+"/request", url.Values{"token": {hostile}, "credential": {hostile}}, nil)
		b.do("POST", basePath+"/request", url.Values{"token": {tokenIn(t, start.body)}, "credential": {hostile}}, nil)
		b.do("POST", basePath+"/idv", url.Values{"token": {tokenIn(t, start.body)}, "credential": {"employee"}, "partner": {hostile}}, nil)
		empty := httptest.NewRequestWithContext(t.Context(), "GET", s.url+"/"+marker, http.NoBody)
		empty.Host = ""
		w := httptest.NewRecorder()
		s.serve(w, empty)
		if w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), marker) {
			t.Errorf("empty host: status %d %q", w.Code, w.Body)
		}
		for line := range strings.Lines(s.m.logged(t)) {
			var entry struct{ Logger, Msg string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatalf("%v in the line %q", err, line)
			}
			if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\x07\r\n\x00") {
				t.Errorf("the line holds control characters: %q", line)
			}
			if entry.Msg == marker {
				t.Errorf("a stranger wrote the line %q", line)
			}
			if strings.Contains(entry.Logger, "verified_id") && strings.Contains(line, marker) {
				t.Errorf("a line of ours holds what a stranger sent: %.300q", line)
			}
		}
	})
}

// A claim holds a placeholder, by a careless issuer or a holder who could choose it. It is text in the header, on our page,
// and where the operator's own config shows it. TM-016.
func TestClaimIsNeverExpanded(t *testing.T) {
	t.Setenv("CANARY", "the-canary-of-the-environment")
	withLiveSite(t, strings.Replace(liveGate, "respond \"hello", "header X-Shown {http.verified_id.claims.displayName}\n\trespond \"hello", 1), func(s *liveSite) {
		for _, card := range s.service.Wallet().Cards() {
			s.service.Wallet().Remove(card.ID)
		}
		const hostile = "{env.CANARY} {http.request.host} {{env \"CANARY\"}}"
		claims := emulator.AnaLima("VerifiedEmployee")
		claims["displayName"] = hostile
		if _, err := s.service.IssueTo(s.service.Wallet(), "VerifiedEmployee", claims); err != nil {
			t.Fatal(err)
		}
		b := s.guest()
		link, wait, token := b.code("/")
		s.service.Share(link, emulator.ShareOptions{FaceScore: 93})
		b.finish(wait, token)
		app, own := b.open("/"), b.open(basePath+"/session")
		if !strings.Contains(app.body, "hello "+hostile) {
			t.Errorf("the app's answer is %q", app.body)
		}
		for name, text := range map[string]string{"body": app.body, "page": own.body, "log": s.m.logged(t)} {
			if strings.Contains(text, "the-canary-of-the-environment") {
				t.Errorf("%s holds the canary", name)
			}
		}
		for name, values := range app.header {
			if strings.Contains(strings.Join(values, " "), "the-canary-of-the-environment") {
				t.Errorf("%s: %q", name, values)
			}
		}
	})
}

// A request without Host, or with a method beyond all sense, never comes to the gate: Caddy goes straight to the error
// routes, and an app behind one of them would believe what the client wrote about itself. With verified_id_strip there it
// finds nothing; and when the app itself fails, nothing is left for them of the session that was there. TM-008, F8.
func TestErrorRoutesCannotSmuggleIdentity(t *testing.T) {
	const site = `http://:PORT {
	verified_id {
		header X-Employee-Name {claim.displayName}
	}
	route /down {
		reverse_proxy 127.0.0.1:1
	}
	reverse_proxy APP
	handle_errors {
		STRIP
		reverse_proxy APP
	}
}`
	for _, strip := range []string{"verified_id_strip", ""} {
		withLiveSite(t, strings.Replace(site, "STRIP", strip, 1), func(s *liveSite) {
			b := s.guest()
			link, wait, token := b.code("/")
			s.service.Share(link, emulator.ShareOptions{FaceScore: 93})
			b.finish(wait, token)
			b.open("/")
			if got := s.reached(); len(got) != 1 || got[0].Get("X-Employee-Name") == "" {
				t.Fatalf("%q: the app got %v", strip, got)
			}
			b.do("GET", "/down", nil, http.Header{"X-Verified-Id-Subject": {"forged"}, "X_Employee_Name": {"forged"}})
			if got := s.reached(); len(got) != 2 || hasIdentity(got[1]) {
				t.Errorf("%q: an app that failed leaves %v for the error route", strip, got[1:])
			}
			for name, spoil := range map[string]func(*http.Request){
				"empty host": func(r *http.Request) { r.Host = "" }, "endless method": func(r *http.Request) { r.Method = strings.Repeat("M", 33) },
			} {
				before := len(s.reached())
				r := httptest.NewRequestWithContext(t.Context(), "GET", s.url+"/admin", http.NoBody)
				r.Header = http.Header{"X-Verified-Id-Subject": {"forged"}, "X-Employee-Name": {"forged"}, "X_verified_id_role": {"forged"}, "Cookie": {"insecure-verified-id=forged; theirs=1"}}
				spoil(r)
				s.serve(httptest.NewRecorder(), r)
				for _, header := range s.reached()[before:] {
					if strip != "" && hasIdentity(header) {
						t.Errorf("%s: the app behind the error route got %v", name, header)
					}
				}
				if reached := s.reached()[before:]; strip == "" && (len(reached) != 1 || !hasIdentity(reached[0])) {
					t.Errorf("%s: without the directive the app got %v; the attack no longer shows anything", name, reached)
				}
			}
		})
	}
}

// Two servers that disagree about where a request ends let a second one ride inside the first, past whatever looked at that.
// The gate takes nothing over from the connection and frames nothing anew, so what it sees is what Caddy forwards: a
// request that nobody sees alone reaches nobody. TM-116.
func TestSmuggledRequestIsGated(t *testing.T) {
	withLiveSite(t, "SITE {\n\tverified_id\n\treverse_proxy APP\n}", func(s *liveSite) {
		b := s.guest()
		link, wait, token := b.code("/")
		s.service.Share(link, emulator.ShareOptions{FaceScore: 93})
		b.finish(wait, token)
		at, err := url.Parse(s.url)
		if err != nil {
			t.Fatal(err)
		}
		cookie := ""
		for _, c := range b.jar.Cookies(at) {
			cookie += c.Name + "=" + c.Value + "; "
		}
		const smuggled = "GET /admin HTTP/1.1\r\nHost: x\r\nX-Verified-Id-Subject: forged\r\nX-Smuggled: yes\r\n\r\n"
		for name, framing := range map[string]string{
			"both lengths":            fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", len(smuggled)+5),
			"both, other order":       fmt.Sprintf("Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n", len(smuggled)+5),
			"two lengths":             fmt.Sprintf("Content-Length: 0\r\nContent-Length: %d\r\n\r\n", len(smuggled)),
			"odd length":              "Content-Length: +0\r\n\r\n",
			"blank before the colon":  fmt.Sprintf("Content-Length : %d\r\n\r\n", len(smuggled)),
			"folded coding":           "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
			"odd coding":              "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
			"two codings":             "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
			"vertical tab":            "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
			"underscore":              "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
			"line feeds in the chunk": "Transfer-Encoding: chunked\r\n\r\n0\n\n",
			"chunk extension":         "Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n",
			"pipelined":               "Content-Length: 0\r\n\r\n",
		} {
			before := len(s.reached())
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", at.Host)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, "POST /upload HTTP/1.1\r\nHost: "+at.Host+"\r\nX-Case: "+name+"\r\nCookie: "+cookie+"\r\n"+framing+smuggled+smuggled); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil { //nolint:forcetypeassert // we dialled TCP
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: %v", name, err)
			}
			_ = conn.Close()
			for _, header := range s.reached()[before:] {
				if header.Get("X-Smuggled") != "" || strings.Contains(header.Get("X-Verified-Id-Subject"), "forged") {
					t.Errorf("%s: the app got %v", name, header)
				}
			}
			first := 0 // a request may arrive while the next case runs already
			for _, header := range s.reached() {
				if header.Get("X-Case") == name {
					first++
				}
			}
			if first > 1 {
				t.Errorf("%s: %d requests reached the app, want at most the first", name, first)
			}
		}
		if len(s.reached()) < 2 {
			t.Error("no first request reached the app; the test no longer shows anything")
		}
	})
}

func hasIdentity(header http.Header) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(header)), func(name string) bool {
		folded := strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name))
		return strings.HasPrefix(folded, "x-verified-id") || folded == "x-employee-name"
	}) || strings.Contains(header.Get("Cookie"), "verified-id")
}
