// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/verifier/verifiertest"
)

// liveSite is a gated site in a whole Caddy that logs everything it can, in front of the emulator. Only the listener is ours,
// and notes what passes.
type liveSite struct {
	t        *testing.T
	m        machine
	url      string
	service  *verifiertest.Server
	upstream *httptest.Server
	serve    func(http.ResponseWriter, *http.Request)

	mu     sync.Mutex
	uris   []string      // of all requests, and of all places we named
	keys   []string      // Authorization of the callbacks
	bodies []string      // of the callbacks
	asked  []http.Header // what reached the app
}

// withLiveSite runs look while the site of the Caddyfile is there. In its lines SITE becomes the site's address, PORT the
// port of it and APP the app's address.
func withLiveSite(t *testing.T, site string, look func(*liveSite)) {
	t.Helper()
	s := &liveSite{t: t, m: newMachine(t), service: verifiertest.NewServer(t)}
	s.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Header.Clone())
		s.mu.Unlock()
		fmt.Fprintln(w, "the app")
	}))
	t.Cleanup(s.upstream.Close)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r) }))
	t.Cleanup(front.Close)
	s.url = front.URL
	t.Setenv("VERIFIED_ID_TEST_SECRET", s.service.ClientSecret)
	text := fmt.Sprintf(`{
	verified_id {
		entra %s {
			client_id %s
			client_secret {env.VERIFIED_ID_TEST_SECRET}
			authority_host %s
		}
		service %s
		trusted_ca %s
		authority %s
		client_name "Contoso Payroll"
		public_url %s
		insecure_loopback_http
		credential employee {
			type VerifiedEmployee
			issuer %s
			face_check photo 80
			idv fabrikam
		}
		idv fabrikam {
			url https://idv.example/start
			org_id contoso
		}
	}
}
%s`, s.service.Tenant, s.service.ClientID, s.service.AuthorityHost, s.service.ServiceURL, s.service.CAFile, s.service.Authority, s.url, s.service.Authority,
		strings.NewReplacer("SITE", s.url, "PORT", s.url[strings.LastIndexByte(s.url, ':')+1:], "APP", strings.TrimPrefix(s.upstream.URL, "http://")).Replace(site))
	if err := s.m.load(t, adaptText(t, text), func(ctx caddy.Context) {
		appOf(t, ctx).limiter = newLimiter(&Limits{StartsPerClient: 1000, StartsPerSecond: 1000, Streams: 100}) // others' tests use the pooled one
		server := serverFor(t, ctx, httptest.NewRequestWithContext(t.Context(), "GET", s.url, http.NoBody))
		s.serve = func(w http.ResponseWriter, r *http.Request) {
			s.note(r)
			server.ServeHTTP(w, r)
		}
		look(s)
		s.serve = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	}); err != nil {
		t.Fatal(err)
	}
}

func (s *liveSite) note(r *http.Request) {
	var body []byte
	if r.URL.Path == basePath+"/callback" {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			s.t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uris = append(s.uris, r.RequestURI)
	if body != nil {
		s.keys = append(s.keys, r.Header.Get("Authorization"))
		s.bodies = append(s.bodies, string(body))
	}
}

// reached is what the app was asked so far.
func (s *liveSite) reached() []http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// guest is a browser of the live site, without JavaScript.
type guest struct {
	*liveSite
	client *http.Client
	jar    *cookiejar.Jar
	all    map[string]bool // every cookie value ever set
}

func (s *liveSite) guest() *guest {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &guest{liveSite: s, jar: jar, all: map[string]bool{}, client: &http.Client{Jar: jar, CheckRedirect: stay}}
}

// answer is what came back.
type answer struct {
	status         int
	body, location string
	header         http.Header
}

var leadsTo = regexp.MustCompile(`(?:href|action|src|data-[a-z]+|content)="([^"]*)"`)

func (g *guest) do(method, path string, form url.Values, header http.Header) answer {
	g.t.Helper()
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header = http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"same-origin"}, "Accept": {"text/html"}}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	maps.Copy(r.Header, header)
	response, err := g.client.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, cookie := range response.Cookies() {
		g.all[cookie.Value] = true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.uris = append(g.uris, response.Header.Get("Location"))
	for _, found := range leadsTo.FindAllStringSubmatch(string(content), -1) {
		g.uris = append(g.uris, html.UnescapeString(found[1]))
	}
	return answer{response.StatusCode, string(content), response.Header.Get("Location"), response.Header}
}

func (g *guest) open(path string) answer { g.t.Helper(); return g.do("GET", path, nil, nil) }

var walletLink = regexp.MustCompile(`openid-vc://[^"]+`)

// code walks from a page of the app to the code and returns the link in it, the wait page's address and its token.
func (g *guest) code(path string) (link, wait, token string) {
	g.t.Helper()
	start := g.open(g.open(path).location)
	request := g.do("POST", basePath+"/request", url.Values{"token": {tokenIn(g.t, start.body)}, "credential": {"employee"}}, nil)
	if request.status != http.StatusSeeOther {
		g.t.Fatalf("request: status %d\n%s", request.status, request.body)
	}
	page := g.open(request.location)
	return html.UnescapeString(walletLink.FindString(page.body)), request.location, tokenIn(g.t, page.body)
}

// finish takes the result that the wait page tells of.
func (g *guest) finish(wait, token string) answer {
	g.t.Helper()
	at, err := url.Parse(wait)
	if err != nil {
		g.t.Fatal(err)
	}
	return g.do("POST", basePath+"/finish", url.Values{"token": {token}, "t": {at.Query().Get("t")}}, nil)
}

var storedKey = regexp.MustCompile(`[A-Za-z0-9+/]{40,}`)

// storedSecrets are the keys in Caddy's storage, as they stand there.
func (s *liveSite) storedSecrets() []string {
	s.t.Helper()
	var out []string
	for _, path := range []string{storedKeysPath, storedKickstartPath} {
		content, err := os.ReadFile(filepath.Join(s.m.storage, filepath.FromSlash(path)))
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, storedKey.FindAllString(string(content), -1)...)
	}
	return out
}
