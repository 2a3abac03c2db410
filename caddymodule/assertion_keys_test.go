// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// assertionKeysIn are the keys for ES256 in a published set.
func assertionKeysIn(t testing.TB, jwks []byte) map[string]*ecdsa.PublicKey {
	t.Helper()
	var set struct {
		Keys []struct{ Kty, Alg, Kid, X, Y, D string }
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatal(err)
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, k := range set.Keys {
		if k.D != "" {
			t.Fatal("a private key is published")
		}
		if k.Kty != "EC" || k.Alg != "ES256" {
			continue
		}
		x, xErr := base64.RawURLEncoding.DecodeString(k.X)
		y, yErr := base64.RawURLEncoding.DecodeString(k.Y)
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil || xErr != nil || yErr != nil {
			t.Fatalf("a published key is none: %v %v %v", err, xErr, yErr)
		}
		keys[k.Kid] = public
	}
	return keys
}

// checkAssertion verifies as an app does that has fetched the set.
func checkAssertion(token string, keys map[string]*ecdsa.PublicKey) (*jwt.Token, error) {
	return jwt.Parse(token, func(token *jwt.Token) (any, error) {
		kid, _ := token.Header["kid"].(string)
		if key := keys[kid]; key != nil {
			return key, nil
		}
		return nil, fmt.Errorf("key %q is not published", kid)
	}, jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(testOrigin+"/.verified-id"), jwt.WithAudience(testOrigin),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithTimeFunc(clockNow))
}

func readAssertion(t testing.TB, token string, jwks []byte) *jwt.Token {
	t.Helper()
	read, err := checkAssertion(token, assertionKeysIn(t, jwks))
	if err != nil {
		t.Fatalf("assertion %s: %v", token, err)
	}
	return read
}

// Keys are made only for what is signed, and published together; partners skip the keys of assertions. TM-153.
func TestPublishedKeysAreThoseInUse(t *testing.T) {
	partners := "idv vu {\n url https://vu.example/start\n org_id contoso\n}"
	for _, test := range []struct {
		name, app, gate string
		partner, apps   int
	}{
		{"neither", "", "verified_id", 0, 0},
		{"links", partners, "verified_id", 1, 0},
		{"assertions", "", "verified_id {\n assertion\n}", 0, 1},
		{"both", partners, "verified_id {\n assertion\n}", 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, ctx := loadApp(t, testApp(test.app))
			published := publishedBy(t, loadGate(t, ctx, test.gate))
			forPartners, err := idvredirect.ParseJWKS(published)
			if len(forPartners) != test.partner || (err == nil) != (test.partner > 0) {
				t.Errorf("%d keys for partners (%v), want %d", len(forPartners), err, test.partner)
			}
			if keys := assertionKeysIn(t, published); len(keys) != test.apps {
				t.Errorf("%d keys for apps, want %d", len(keys), test.apps)
			}
		})
	}
}

// The operator's own keys: the first signs, all are published, and a key that cannot sign assertions does not load. TM-151.
func TestOwnAssertionKeys(t *testing.T) {
	first := writeFile(t, "first.pem", string(ellipticKeyPEM(t)))
	second := writeFile(t, "second.pem", string(ellipticKeyPEM(t)))
	signing := map[string]bool{}
	for _, order := range []string{first + " " + second, second + " " + first} {
		_, ctx := loadApp(t, testApp("assertion_key "+order))
		g := loadGate(t, ctx, "verified_id {\n assertion\n}")
		setNow(time.Now()) // the keys of a config count from its load
		held, _ := sessionOf(g, presentation(g))
		token, err := g.assert(t.Context(), identity{held, &held.Presentations[0], &g.wants[0].requirement}, clockNow())
		if err != nil {
			t.Fatal(err)
		}
		published := publishedBy(t, g)
		if n := len(assertionKeysIn(t, published)); n != 2 {
			t.Errorf("%d keys are published, want 2", n)
		}
		signing[fmt.Sprint(readAssertion(t, token, published).Header["kid"])] = true
	}
	if len(signing) != 2 {
		t.Errorf("the first key does not sign: %v", signing)
	}

	setSecret(t)
	rsa := writeFile(t, "rsa.pem", string(signingKeyPEM(t)))
	err := newMachine(t).load(t, adaptText(t, caddyfileOf("assertion_key "+rsa, sitePart)), nil)
	wantError(t, err, nil, "assertion_key", "openssl genpkey -algorithm EC")
}

// The key that signs assertions is replaced while two nodes are under load. Whatever an app fetched within the last hour, from
// whichever node, it verifies what either node signs; nobody sees an error. TM-009, TM-151.
func TestAssertionKeysRotateUnderLoad(t *testing.T) {
	const options = "verified_id {\n assertion\n}"
	one, oneCtx := loadApp(t, testApp(""))
	two, twoCtx := loadApp(t, testApp(""))
	two.keys = one.keys.share()
	nodes := []*Gate{loadGate(t, oneCtx, options), loadGate(t, twoCtx, options)}
	cookies := make([]string, 20)
	for i := range cookies {
		held, _ := sessionOf(nodes[0], presentation(nodes[0]))
		held.ID, held.Expires = fmt.Sprint("session-", i), testNow.Add(200*24*time.Hour)
		cookies[i] = nodes[0].site.session.Name + "=" + nodes[0].site.seal(held)
	}
	one.Session.Lifetime, one.Session.Idle = caddy.Duration(200*24*time.Hour), 0
	two.Session.Lifetime, two.Session.Idle = one.Session.Lifetime, 0
	kids := map[any]bool{}
	check := func(keys []map[string]*ecdsa.PublicKey) {
		var wait sync.WaitGroup
		var mu sync.Mutex
		for i, cookie := range cookies {
			wait.Go(func() {
				token := assertedTo(t, nodes[i%2], cookie)
				for _, known := range keys {
					read, err := checkAssertion(token, known)
					if err != nil {
						t.Errorf("at %s: %v", clockNow(), err)
						return
					}
					mu.Lock()
					kids[read.Header["kid"]] = true
					mu.Unlock()
				}
			})
		}
		wait.Wait()
	}
	expiresAt := testNow.Add(24 * time.Hour)
	for _, start := range []time.Time{testNow, testNow.Add(keyRotation - time.Hour)} {
		var cached []map[string]*ecdsa.PublicKey // of the last hour
		for minute := range 240 {
			now := start.Add(time.Duration(minute) * time.Minute)
			setNow(now)
			if now.After(expiresAt) {
				cookies = renewed(nodes[0], cookies, now)
				expiresAt = now.Add(24 * time.Hour)
			}
			if minute%2 == 0 { // the nodes reread at different times
				mustReread(t, one, now)
			} else {
				mustReread(t, two, now)
			}
			if minute%10 != 0 {
				continue
			}
			for _, node := range nodes {
				cached = append(cached, assertionKeysIn(t, publishedBy(t, node)))
			}
			cached = cached[max(0, len(cached)-12):]
			check(cached)
		}
	}
	if len(kids) != 2 {
		t.Errorf("%d keys have signed, want the old and the new one", len(kids))
	}
}

// renewed are cookies of the same sessions with a card that is still good.
func renewed(g *Gate, cookies []string, now time.Time) []string {
	out := make([]string, len(cookies))
	for i := range out {
		p := presentation(g)
		p.CredentialExpires = now.Add(24 * time.Hour)
		held, _ := sessionOf(g, p)
		held.ID, held.Expires = fmt.Sprint("session-", i), testNow.Add(200*24*time.Hour)
		out[i] = g.site.session.Name + "=" + g.site.seal(held)
	}
	return out
}

func mustReread(t *testing.T, app *App, now time.Time) {
	t.Helper()
	if _, err := app.keys.assertion.at(t.Context(), now); err != nil {
		t.Fatal(err)
	}
}

// share is the keys of another node with the same storage.
func (k *keys) share() *keys {
	return &keys{
		sessions: k.sessions, visits: k.visits, journeys: k.journeys, subject: k.subject,
		kickstart: signingKeys{storage: k.kickstart.storage, path: k.kickstart.path, generate: k.kickstart.generate},
		assertion: signingKeys{storage: k.assertion.storage, path: k.assertion.path, generate: k.assertion.generate},
	}
}

// A node on which nobody fetches jwks.json rotates all the same and hears of others' rotations, and no request waits while its
// storage hangs. TM-151.
func TestKeysAreFollowedWithoutRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &mapStorage{values: map[string][]byte{}}
		node := func() *signingKeys {
			return &signingKeys{storage: storage, path: storedAssertionPath, generate: idvredirect.GenerateAssertionKey}
		}
		quiet, other := node(), node()
		ctx, cancel := context.WithCancel(t.Context())
		signing := func() string {
			t.Helper()
			set, err := quiet.current(ctx, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return set.Signing(time.Now()).KeyID()
		}
		first := signing()
		<-time.After(keyRotation - time.Hour)
		go quiet.follow(ctx, time.Now)
		<-time.After(time.Hour)
		if _, err := other.at(ctx, time.Now()); err != nil {
			t.Fatal(err)
		}
		<-time.After(idvredirect.KeySetSpread)
		if set, err := quiet.current(ctx, time.Now()); err != nil || len(assertionKeysIn(t, set.JWKS(time.Now()))) != 2 {
			t.Errorf("the node does not know the new key after %s (%v)", idvredirect.KeySetSpread, err)
		}
		<-time.After(2 * time.Hour)
		second := signing()
		if second == first {
			t.Error("the new key does not sign")
		}
		storage.hangs.Store(true)
		<-time.After(followKeys * 10)
		if before := time.Now(); signing() != second || !time.Now().Equal(before) {
			t.Error("a request waits for the storage")
		}
		cancel()
	})
}

// mapStorage is a storage in memory that can hang.
type mapStorage struct {
	certmagic.Storage
	locked sync.Mutex
	mu     sync.Mutex
	values map[string][]byte
	hangs  atomic.Bool
}

func (s *mapStorage) Lock(context.Context, string) error   { s.locked.Lock(); return nil }
func (s *mapStorage) Unlock(context.Context, string) error { s.locked.Unlock(); return nil }

func (s *mapStorage) Store(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
	return nil
}

func (s *mapStorage) Load(ctx context.Context, key string) ([]byte, error) {
	if s.hangs.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if value, ok := s.values[key]; ok {
		return value, nil
	}
	return nil, fs.ErrNotExist
}
