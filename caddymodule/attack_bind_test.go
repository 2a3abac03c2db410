// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// Any one of two cards opens a gate. Rules hold for the card that opens it: a claim of the other one does not help, and
// neither does the other one's face. TM-073.
func TestAnyOfDoesNotBorrow(t *testing.T) {
	_, ctx := loadApp(t, testApp(twoCredentials))
	g := loadGate(t, ctx, "verified_id employee guest {\n require role admin\n header X-Role {claim.role}\n}")
	admin, user := verifier.Claim{Name: "role", Value: "admin"}, verifier.Claim{Name: "role", Value: "user"}
	low := presentation(g, admin)
	low.FaceScore = 60
	forged := guestOf(g, admin)
	forged.Policy = presentation(g).Policy
	renamed := guestOf(g, admin)
	renamed.Credential = "employee"
	for name, c := range map[string]struct {
		presentations []verifier.Presentation
		want          string
	}{
		"guest is admin, employee is user": {[]verifier.Presentation{guestOf(g, admin), presentation(g, user)}, "admin"},
		"employee with a low score":        {[]verifier.Presentation{low, guestOf(g, user)}, ""},
		"the other one's policy":           {[]verifier.Presentation{forged}, ""},
		"the other one's name":             {[]verifier.Presentation{renamed}, ""},
		"role in other case":               {[]verifier.Presentation{guestOf(g, verifier.Claim{Name: "Role", Value: "admin"})}, ""},
		"value in other case":              {[]verifier.Presentation{guestOf(g, verifier.Claim{Name: "role", Value: "Admin"})}, ""},
	} {
		_, u := serve(t, g, request("GET", testOrigin+"/", withCookie(secondOf(sessionOf(g, c.presentations...)))))
		if c.want == "" && u.hits != 0 {
			t.Errorf("%s: passed", name)
		}
		if c.want != "" && (u.hits != 1 || u.seen.Header.Get("X-Role") != c.want || u.seen.Header.Get("X-Verified-Id-Credential") != "guest") {
			t.Errorf("%s: %d hits with %v", name, u.hits, u.seen)
		}
	}
}

// What the wallet compares without case is not what opens the gate: bind and require are exact, for letters of every script.
// TM-015, TM-073.
func TestLookAlikeOfTheBoundValue(t *testing.T) {
	app, ctx := loadApp(t, testApp("limits {\n starts_per_client 100\n starts_per_second 100\n}"))
	g := loadGate(t, ctx, "verified_id {\n bind mail {http.auth.user.id}\n}")
	s := newService(t, app)
	for mail, want := range map[string]verifier.Status{
		"ana@contoso.example": verifier.StatusVerified, "Ana@contoso.example": verifier.StatusRefused, "ana@contoso.example ": verifier.StatusRefused,
		"ANA@CONTOSO.EXAMPLE": verifier.StatusRefused, "ana@contoso.example.evil.example": verifier.StatusRefused, "\u0430na@contoso.example": verifier.StatusRefused,
		"boss@contoso.example": verifier.StatusRefused,
	} {
		b := asUser(t, g, "ana@contoso.example")
		start, _ := b.open("/.verified-id/start")
		w := b.post("/.verified-id/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
		at, err := url.Parse(w.Header().Get("Location"))
		if err != nil || w.Code != http.StatusSeeOther {
			t.Fatalf("request: status %d", w.Code)
		}
		request, state, key := s.last(t)
		callback(t, g, key, verified(request, state, "ana@contoso.example", mail))
		if got := statusOf(t, app, at.Query().Get("t")); got != want {
			t.Errorf("%q: %s, want %s", mail, got, want)
		}
	}
}

// userBrowser is a browser behind another login, which says who the user is.
type userBrowser struct {
	*browser
	user string
}

func asUser(t testing.TB, g *Gate, user string) *userBrowser {
	t.Helper()
	return &userBrowser{newBrowser(t, g), user}
}

func (b *userBrowser) do(method, path string, form url.Values, header http.Header) (*httptest.ResponseRecorder, *upstream) {
	b.t.Helper()
	r := request(method, testOrigin+path, header)
	replacerOf(r).Set("http.auth.user.id", b.user)
	if form != nil {
		r.Body = readCloser{strings.NewReader(form.Encode())}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range b.cookies {
		r.Header.Add("Cookie", name+"="+value)
	}
	w, u := serve(b.t, b.gate, r)
	for _, cookie := range w.Result().Cookies() {
		b.cookies[cookie.Name] = cookie.Value
	}
	return w, u
}

func (b *userBrowser) open(path string) (*httptest.ResponseRecorder, *upstream) {
	b.t.Helper()
	return b.do("GET", path, nil, http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Accept": {"text/html"}})
}

func (b *userBrowser) post(path string, form url.Values) *httptest.ResponseRecorder {
	b.t.Helper()
	w, _ := b.do("POST", path, form, http.Header{"Sec-Fetch-Site": {"same-origin"}})
	return w
}

// Ana starts, Ben is logged in when the result is taken: Ana's card opens nothing for Ben, and Ben cannot have it renamed.
// TM-041, TM-074.
func TestUserIsSwitchedBetweenStartAndFinish(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n bind mail {http.auth.user.id}\n}")
	s := newService(t, app)
	b := asUser(t, g, "ana@contoso.example")
	start, _ := b.open("/.verified-id/start")
	w := b.post("/.verified-id/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
	at, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	request, state, key := s.last(t)
	callback(t, g, key, verified(request, state))
	b.user = "ben@contoso.example"
	wait, _ := b.open("/.verified-id/wait?t=" + at.Query().Get("t"))
	b.post("/.verified-id/finish", url.Values{"token": {tokenIn(t, wait.Body.String())}, "t": {at.Query().Get("t")}})
	if _, u := b.open("/"); u.hits != 0 {
		t.Error("Ben came in with Ana's card")
	}
	b.user = ""
	if _, u := b.open("/"); u.hits != 0 {
		t.Error("nobody came in with Ana's card")
	}
	b.user = "ana@contoso.example"
	if _, u := b.open("/"); u.hits != 1 {
		t.Error("Ana cannot come in with her own card")
	}
}

// Nobody is logged in, so bind has nothing to compare with: nothing is started, whatever the form says and whoever was logged in
// when its page was made. The start page says so in place of a button. TM-041, TM-053.
func TestBindWithoutUserStartsNothing(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n bind mail {http.auth.user.id}\n}")
	s := newService(t, app)
	b := asUser(t, g, "ana@contoso.example")
	start, _ := b.open("/.verified-id/start")
	token := tokenIn(t, start.Body.String())
	for name, user := range map[string]string{
		"nobody": "", "a blank": " ", "a no-break space": "\u00a0", "a tab": "\t", "too long": strings.Repeat("a", maxBound+1),
		"12 KiB": strings.Repeat("a", 12<<10), "not UTF-8": "ana\xff@contoso.example", "a line break": "ana@contoso.example\r\n",
		"a zero": "ana@contoso.example\x00",
	} {
		b.user = user
		if w, _ := b.open("/.verified-id/start"); w.Code != http.StatusForbidden || tokenField.MatchString(w.Body.String()) {
			t.Errorf("%s: start page with status %d, want 403 and no form", name, w.Code)
		}
		form := url.Values{"token": {token}, "credential": {"employee"}, "mail": {"ana@contoso.example"}}
		if w := b.post("/.verified-id/request", form); w.Code != http.StatusForbidden || s.calls() != 0 {
			t.Errorf("%s: status %d with %d calls, want 403 and none", name, w.Code, s.calls())
		}
	}
}

// Whoever can choose their name at the other login chooses one that some decoder, folder or list reader takes for another
// person's. None of them is Ana. TM-041.
func TestBoundValueIsTakenAsItIs(t *testing.T) {
	x := attack(t, "", "http://payroll.contoso.example {\nverified_id {\nbind mail {http.request.header.Remote-Email}\n}\nreverse_proxy {app}\n}")
	g := x.gate(t, nil)
	_, cookie := sessionOf(g, presentation(g, verifier.Claim{Name: "mail", Value: "ana@contoso.example"}))
	for passes, values := range map[bool][]string{
		true: {"ana@contoso.example", "  ana@contoso.example\t"}, // HTTP itself takes the blanks away
		false: {
			"", "ana%40contoso.example", "ANA@contoso.example", "ana@contoso.example,boss@contoso.example", "\u0430na@contoso.example",
			"ana@contoso\u3002example", `"ana@contoso.example"`, "ana@contoso.example;", "ana@contoso.example\u200b", "{env.HOME}", "*",
			"ana@contoso.example\r\nRemote-Email: boss@contoso.example",
		},
	} {
		for _, value := range values {
			x.raw(t, wireLines("GET / HTTP/1.1", "Host: payroll.contoso.example", "Cookie: "+cookie, "Remote-Email: "+value, "Connection: close"))
			if seen := x.behind.take(); (len(seen) == 1) != passes {
				t.Errorf("%q: %d requests reached the app, want passing %v", value, len(seen), passes)
			}
		}
	}
}

// The card of the person who is signed in is wanted, and another person's is shown: the refusal is named as such, for the page
// and for whoever watches. TM-041.
func TestAnotherPersonsCardIsNamed(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n bind mail {http.auth.user.id}\n}")
	s := newService(t, app)
	b := asUser(t, g, "mallory@contoso.example")
	start, _ := b.open("/.verified-id/start")
	w := b.post("/.verified-id/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
	at, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	request, state, key := s.last(t)
	callback(t, g, key, verified(request, state))
	if got, err := app.store.Get(t.Context(), at.Query().Get("t")); err != nil || got.Reason != bindMismatch {
		t.Errorf("refused for %q (%v), want %q", got.Reason, err, bindMismatch)
	}
	wait, _ := b.open(w.Header().Get("Location"))
	if body := wait.Body.String(); !strings.Contains(body, "belongs to another person") || strings.Contains(body, "ana@") || strings.Contains(body, "mallory@") {
		t.Errorf("the page says\n%s", body)
	}
}

// The single sign-on says of one person who they are and of another nothing; both say in the header themselves that they are Ana,
// whose session one of them has got hold of. What they say counts for nothing. TM-001, TM-041.
func TestForgedHeaderOfTheOtherLogin(t *testing.T) {
	signOn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user := r.Header.Get("X-Test-User"); user != "" {
			w.Header().Set("Remote-Email", user)
		}
	}))
	t.Cleanup(signOn.Close)
	x := attack(t, "", `http://payroll.contoso.example {
		forward_auth `+strings.TrimPrefix(signOn.URL, "http://")+` {
			uri /verify
			copy_headers Remote-Email
		}
		verified_id {
			bind mail {http.request.header.Remote-Email}
		}
		reverse_proxy {app}
	}`)
	g := x.gate(t, nil)
	_, cookie := sessionOf(g, presentation(g, verifier.Claim{Name: "mail", Value: "ana@contoso.example"}))
	for user, want := range map[string]int{"ana@contoso.example": 1, "ben@contoso.example": 0, "": 0} {
		for _, name := range []string{"Remote-Email", "remote-email", "Remote_Email", "REMOTE-EMAIL"} {
			head := []string{"GET / HTTP/1.1", "Host: payroll.contoso.example", "Cookie: " + cookie, name + ": ana@contoso.example", "Connection: close"}
			if user != "" {
				head = append(head, "X-Test-User: "+user)
			}
			x.raw(t, wireLines(head...))
			if seen := x.behind.take(); len(seen) != want {
				t.Errorf("%q with a forged %s: %d requests reached the app, want %d", user, name, len(seen), want)
			}
		}
	}
}

// The fields of a client certificate that bind can name are there under these names, and absent without a certificate. TM-041.
func TestBindToAClientCertificate(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id {
			bind mail {http.request.tls.client.san.emails.0}
		}
		reverse_proxy {app}
	}
	http://names.contoso.example {
		verified_id {
			bind name {http.request.tls.client.subject}
		}
		reverse_proxy {app}
	}`)
	for host, claim := range map[string]verifier.Claim{
		"payroll.contoso.example": {Name: "mail", Value: "ana@contoso.example"},
		"names.contoso.example":   {Name: "name", Value: "CN=Ana Lima,O=Contoso"},
	} {
		g := x.gate(t, func(g *Gate) bool { return g.Bind.Claim == claim.Name })
		_, cookie := sessionOf(g, presentation(g, claim))
		for name, c := range map[string]struct {
			certificate *x509.Certificate
			want        int
		}{
			"Ana's": {&x509.Certificate{
				Subject: pkix.Name{CommonName: "Ana Lima", Organization: []string{"Contoso"}}, EmailAddresses: []string{"ana@contoso.example", "x@y.example"},
			}, 1},
			"Ben's": {&x509.Certificate{
				Subject: pkix.Name{CommonName: "Ben Ode", Organization: []string{"Contoso"}}, EmailAddresses: []string{"ben@contoso.example", "ana@contoso.example"},
			}, 0},
			"none": {nil, 0},
		} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/", http.NoBody)
			r.Header.Set("Cookie", cookie)
			if c.certificate != nil {
				r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c.certificate}}
			}
			x.server.ServeHTTP(httptest.NewRecorder(), r)
			if seen := x.behind.take(); len(seen) != c.want {
				t.Errorf("%s, certificate %s: %d requests reached the app, want %d", host, name, len(seen), c.want)
			}
		}
	}
}
