// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// A load in the middle of an outage must work and wait for nobody: neither for a manifest's host that holds the connection, nor where
// nothing was ever pinned. Nobody gets in then, and who tries is told to come back. TM-139.
func TestLoadNeverWaitsForAManifest(t *testing.T) {
	held := make(chan struct{})
	asked := make(chan struct{}, 10)
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-held:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(held)
	began := time.Now()
	app, ctx := loadApp(t, learningApp(server.URL+"/manifest", ""))
	g := loadGate(t, ctx, "verified_id")
	if err := g.Validate(); err != nil {
		t.Error(err)
	}
	select {
	case <-asked:
		t.Error("loading asked for the manifest")
	default:
	}
	p := &publisher{Server: server}
	app.credentials["employee"].pin.fetcher = p.fetcher(true)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = app.Stop() }()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("loading took %s", took)
	}
	<-asked // in the background, after the start
	_, cookie := sessionOf(g, presentation(g))
	if w, u := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie))); u.hits != 0 || w.Code != http.StatusUnauthorized {
		t.Errorf("a session from before, while nothing is known: status %d, %d hits", w.Code, u.hits)
	}
}

// Until the manifest was read nobody begins. The first who wants to has it fetched, waits for it and gets a code; those who come at the same time
// cause no second fetch, and later ones none at all.
func TestFirstUseFetchesTheManifestOnce(t *testing.T) {
	p := newPublisher(t)
	n := learningNode(t, p, "", nil)
	p.set(func(p *publisher) { p.down = true })
	w, ok := n.starts(t)
	if ok || w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !supportCode.MatchString(w.Body.String()) {
		t.Errorf("while the host is down: status %d, want 503 with a time and a support code\n%s", w.Code, w.Body)
	}
	if n.starts(t); p.requests() != 1 {
		t.Errorf("two visitors within seconds caused %d fetches, want 1", p.requests())
	}
	p.set(func(p *publisher) { p.down = false })
	setNow(clockNow().Add(patience.ManifestRetry))
	for range 3 {
		if w, ok := n.starts(t); !ok {
			t.Fatalf("status %d\n%s", w.Code, w.Body)
		}
	}
	if p.requests() != 2 {
		t.Errorf("%d fetches, want 2", p.requests())
	}
	if !n.admits(t, n.member(p.did)) || n.admits(t, n.member(testIssuer)) {
		t.Error("not exactly the cards of the manifest's issuer open the app")
	}
}

// Somebody takes over the manifest's host, or the issuer's contract, and names an issuer or a type of their own, soundly signed by their own
// did:web. Their cards open nothing, on no node: what is pinned stays, nobody can begin, and the operator is told how to judge it. Who is in
// stays in. When the manifest says again what it said, all is as before.
func TestSwappedIssuerOrTypeIsRefused(t *testing.T) {
	mallory := newPublisher(t)
	for name, swap := range map[string]func(*publisher){
		"issuer, signed by its own key": func(p *publisher) { p.issuer, p.signer = mallory.did, mallory.key },
		"type":                          func(p *publisher) { p.kind = "VerifiedVisitor" },
		"issuer that cannot be had":     func(p *publisher) { p.issuer = "did:ion:mallory" },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPublisher(t)
			n := learningNode(t, p, "", nil)
			if _, ok := n.starts(t); !ok {
				t.Fatal("nobody can begin")
			}
			cookie := n.member(p.did)
			other := learningNode(t, p, "", &n)

			p.set(swap)
			setNow(clockNow().Add(checkManifest))
			if !n.pin().due() {
				t.Error("the manifest is not due to be looked at")
			}
			if err := n.check(t); err != nil {
				t.Fatal(err)
			}
			if err := other.pin().look(t.Context()); err != nil {
				t.Fatal(err)
			}
			for where, node := range map[string]node{"this node": n, "the other node": other, "a restarted node": learningNode(t, p, "", &n)} {
				if w, ok := node.starts(t); ok || w.Code != http.StatusServiceUnavailable {
					t.Errorf("%s: status %d, want 503", where, w.Code)
				}
				if got := node.gate.wants[0].demand(); got.Type != "VerifiedEmployee" || len(got.AcceptedIssuers) != 1 || got.AcceptedIssuers[0] != p.did {
					t.Errorf("%s asks for %s by %v", where, got.Type, got.AcceptedIssuers)
				}
				if node.admits(t, node.member(mallory.did)) {
					t.Errorf("%s: Mallory's card opens the app", where)
				}
			}
			_, err := n.pin().ready(t.Context())
			wantError(t, err, nil, "VerifiedEmployee by "+p.did, "caddy verified-id pin employee --accept ")
			setNow(testNow)
			if !n.admits(t, cookie) {
				t.Error("a session ended with the change")
			}

			p.set(func(p *publisher) { p.issuer, p.signer, p.kind = p.did, p.key, "VerifiedEmployee" })
			setNow(testNow.Add(2 * checkManifest))
			if err := n.check(t); err != nil {
				t.Fatal(err)
			}
			if w, ok := n.starts(t); !ok {
				t.Errorf("after the change was taken back: status %d", w.Code)
			}
		})
	}
}

// What is not signed by the issuer it names is nobody's word: it neither pins nor changes anything. TM-153.
func TestForgedManifestChangesNothing(t *testing.T) {
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := newPublisher(t)
	p.set(func(p *publisher) { p.signer = stranger })
	n := learningNode(t, p, "", nil)
	if _, ok := n.starts(t); ok || n.pin().current.Load() != nil {
		t.Error("a forged manifest was pinned")
	}
	p.set(func(p *publisher) { p.signer = p.key })
	setNow(clockNow().Add(patience.ManifestRetry))
	if _, ok := n.starts(t); !ok {
		t.Fatal("nobody can begin")
	}
	p.set(func(p *publisher) { p.signer, p.kind = stranger, "VerifiedVisitor" })
	setNow(clockNow().Add(checkManifest))
	if err := n.check(t); err != nil {
		t.Error(err)
	}
	if w, ok := n.starts(t); !ok {
		t.Errorf("a forged manifest keeps visitors out: status %d", w.Code)
	}
}

// Whoever has the manifest's host can name an issuer whose document is nowhere. Where nobody has written the DID, that is not enough.
func TestUnverifiedIssuerNeedsTheWrittenDID(t *testing.T) {
	const ion = "did:ion:EiAbc"
	for _, c := range []struct {
		name, options, issuer string
		ok                    bool
		told                  string
	}{
		{"nothing is written", "", ion, false, "issuer <did>"},
		{"the DID is written", "issuer " + ion, ion, true, ""},
		{"another DID is written", "issuer did:ion:EiOther", ion, false, "ask the issuer which one is right"},
		{"another type is written", "issuer " + ion + "\ntype VerifiedVisitor", ion, false, "type says VerifiedVisitor"},
		{"another DID is written, and the signature is verified", "issuer " + ion, "", false, "ask the issuer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPublisher(t)
			if c.issuer != "" {
				p.set(func(p *publisher) { p.issuer = c.issuer })
			}
			n := learningNode(t, p, c.options, nil)
			if w, ok := n.starts(t); ok != c.ok {
				t.Errorf("begins: %v, want %v, status %d", ok, c.ok, w.Code)
			}
			if _, err := n.pin().ready(t.Context()); c.told != "" {
				wantError(t, err, nil, c.told)
			}
			if n.admits(t, n.member(ion)) != c.ok {
				t.Errorf("a card by %s opens the app: %v", ion, !c.ok)
			}
		})
	}
}

// A manifest's host, or a name that an attacker moves, leads into the operator's own network. Only public addresses are connected to, redirects are
// not followed, and of all paths only the manifest and the issuer's own document are asked for. TM-152.
func TestManifestLeadsNowhereElse(t *testing.T) {
	p := newPublisher(t)
	n := learningNode(t, p, "", nil)
	n.pin().fetcher = p.fetcher(false)
	if _, ok := n.starts(t); ok || len(p.asked) != 0 {
		t.Errorf("an address of this machine was asked for %q", p.asked)
	}
	n.pin().fetcher = p.fetcher(true)
	p.set(func(p *publisher) { p.redirect = true })
	setNow(clockNow().Add(patience.ManifestRetry))
	if _, ok := n.starts(t); ok {
		t.Error("a redirect was followed")
	}
	p.set(func(p *publisher) { p.redirect = false })
	setNow(clockNow().Add(patience.ManifestRetry))
	if _, ok := n.starts(t); !ok {
		t.Error("nobody can begin")
	}
	for _, path := range p.asked {
		if path != "/manifest" && path != "/.well-known/did.json" {
			t.Errorf("asked for %s", path)
		}
	}
}

// The operator misspells the photo claim, or a claim of a rule: nobody would ever pass. The manifest knows the names, so it is said.
func TestClaimsThatTheManifestLacksAreNamed(t *testing.T) {
	p := newPublisher(t)
	n := learningNode(t, p, "keep mail\nsubject_claim number", nil)
	pin := &manifestPin{Claims: []string{"mail", "number"}}
	if lacks := pin.lacks(n.pin().uses()); !slices.Equal(lacks, []string{"photo"}) {
		t.Errorf("lacks %q, want the photo claim", lacks)
	}
	pin.Claims = nil
	if lacks := pin.lacks(n.pin().uses()); len(lacks) != 0 {
		t.Errorf("a manifest that shows no claims lacks %q", lacks)
	}
}
