// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/internal/contract"
)

// publisher is an issuer with a host of its own: its DID document and its contract's manifest, which can be made to say anything.
type publisher struct {
	*httptest.Server
	did string
	key *ecdsa.PrivateKey

	mu             sync.Mutex
	issuer, kind   string
	signer         *ecdsa.PrivateKey
	down, redirect bool
	asked          []string
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	p := &publisher{kind: "VerifiedEmployee"}
	p.Server = httptest.NewTLSServer(p)
	t.Cleanup(p.Close)
	p.did = "did:web:" + strings.ReplaceAll(strings.TrimPrefix(p.URL, "https://"), ":", "%3A")
	var err error
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	p.issuer, p.signer = p.did, p.key
	return p
}

func (p *publisher) set(change func(*publisher)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// requests is how often the manifest was asked for.
func (p *publisher) requests() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, path := range p.asked {
		if path == "/manifest" {
			n++
		}
	}
	return n
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, r.URL.Path)
	switch {
	case p.down:
		http.Error(w, "down", http.StatusServiceUnavailable)
	case r.URL.Path == "/manifest" && p.redirect:
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	case r.URL.Path == "/manifest":
		token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"id": p.kind, "iss": p.issuer, "iat": 1})
		token.Header["kid"] = p.issuer + "#key"
		signed, err := token.SignedString(p.signer)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(w, `{"token": %q}`, signed)
	case r.URL.Path == "/.well-known/did.json":
		point, err := p.key.PublicKey.Bytes()
		if err != nil {
			panic(err)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"id": p.did, "assertionMethod": []string{"#key"}, "verificationMethod": []any{map[string]any{"id": "#key", "publicKeyJwk": map[string]any{
				"kty": "EC", "crv": "P-256", "x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
			}}},
		})
	default:
		http.NotFound(w, r)
	}
}

// fetcher trusts the publisher's certificate.
func (p *publisher) fetcher(loopback bool) *contract.Fetcher {
	roots := x509.NewCertPool()
	roots.AddCert(p.Certificate())
	return contract.NewFetcher(roots, loopback)
}

// learningApp is an app whose employees' type and issuer come from a manifest.
func learningApp(manifest, options string) string {
	return strings.Replace(testApp(""), "type       VerifiedEmployee\n\t\t\tissuer     "+testIssuer, "manifest "+manifest+"\n"+options, 1)
}

// learningNode is a node with this credential. Nodes with the same storage share what is pinned; like is one of them.
func learningNode(t *testing.T, p *publisher, options string, like *node) node {
	t.Helper()
	app, ctx := loadApp(t, learningApp(p.URL+"/manifest", options))
	newService(t, app)
	pin := app.credentials["employee"].pin
	pin.fetcher, pin.now = p.fetcher(true), clockNow
	if like != nil {
		from := like.app.credentials["employee"].pin
		app.keys, pin.storage, pin.sealer = like.app.keys, from.storage, from.sealer
		if err := pin.look(t.Context()); err != nil {
			t.Log(err)
		}
	}
	return node{app, loadGate(t, ctx, "verified_id")}
}

// pin is the node's manifest.
func (n node) pin() *pinnedManifest { return n.app.credentials["employee"].pin }

// check is what happens in the background when it is due.
func (n node) check(t *testing.T) error {
	t.Helper()
	<-n.pin().attempt(true)
	n.pin().mu.Lock()
	defer n.pin().mu.Unlock()
	return n.pin().failed
}

// starts says whether a visitor gets a code, and what the operator is told if not.
func (n node) starts(t *testing.T) (*httptest.ResponseRecorder, bool) {
	t.Helper()
	b := newBrowser(t, n.gate)
	b.client = "2001:db8:" + hex.EncodeToString(randomBytes(2)) + "::7" // nobody meets the limits
	start, _ := b.open(basePath + "/start")
	if start.Code != http.StatusOK {
		t.Errorf("the start page has status %d", start.Code)
	}
	w := b.post(basePath+"/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
	return w, w.Code == http.StatusSeeOther
}

// member is a session with a card by this issuer.
func (n node) member(issuer string) string {
	p := presentation(n.gate)
	p.Issuer, p.Policy = issuer, n.gate.wants[0].demand().Policy()
	_, cookie := sessionOf(n.gate, p)
	return cookie
}
