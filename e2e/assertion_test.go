// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
)

const assertionHeader = "X-Verified-Id-Assertion"

// The apps of examples/assertion-go and examples/assertion-node run behind the gate and let its visitor in. Then somebody reaches
// them around the gate, and has one real assertion, one of another site, one that has expired, one made with a key of his own, and
// all the tricks that JWT libraries fell for. TM-009, TM-153.
func TestAppsCheckTheAssertionThemselves(t *testing.T) {
	t.Parallel()
	apps := map[string]string{}
	for _, name := range []string{"assertion-go", "assertion-node"} {
		apps[name] = fmt.Sprintf("127.0.0.1:%d", caddyprocess.FreePort(t))
	}
	w := newWorld(t, plan{
		gate: "assertion", site: "GATE\nreverse_proxy /go " + apps["assertion-go"] +
			"\nreverse_proxy /node " + apps["assertion-node"] + "\nreverse_proxy APP",
	})
	startAssertionApp(t, w, "assertion-go", apps["assertion-go"], goExample(t))
	startAssertionApp(t, w, "assertion-node", apps["assertion-node"], nodeExample(t)...)

	v := newVisitor(t)
	w.enter(v, "/payroll")
	var cookies []string
	for _, cookie := range v.cookies() {
		cookies = append(cookies, cookie.Name+"="+cookie.Value)
	}
	asVisitor := http.Header{"Cookie": {strings.Join(cookies, "; ")}}
	for _, path := range []string{"/go", "/node"} {
		status, body := w.get(w.origin+path, asVisitor)
		if status != http.StatusOK || !strings.HasPrefix(body, "Hello, ") || len(body) < len("Hello, x.") {
			t.Errorf("%s answers the visitor with %d %q", path, status, body)
		}
	}
	w.get(w.origin+"/payroll", asVisitor)
	genuine := w.assertionSeen()
	keys := w.assertionKeys()
	for name, address := range apps {
		for _, test := range assertions(t, genuine, keys) {
			status, body := w.get("http://"+address+"/", http.Header{assertionHeader: {test.token}})
			if want := http.StatusUnauthorized; test.good != (status == http.StatusOK) || !test.good && status != want {
				t.Errorf("%s: %s: %d %q", name, test.name, status, body)
			}
		}
		if status, body := w.get("http://"+address+"/", http.Header{"X-Verified-Id-Subject": {"Mallory"}}); status != http.StatusUnauthorized {
			t.Errorf("%s: no assertion: %d %q", name, status, body)
		}
	}
}

// attempt is a token that somebody sends to an app.
type attempt struct {
	name, token string
	good        bool
}

// assertions are attempts on an app, made from one that it would accept and with the gate's own key.
func assertions(t *testing.T, genuine string, key *ecdsa.PrivateKey) []attempt {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(genuine, jwt.MapClaims{})
	if err != nil {
		t.Fatalf("reading the assertion: %v", err)
	}
	mallorys, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	x, y := base64.RawURLEncoding.EncodeToString(public[1:33]), base64.RawURLEncoding.EncodeToString(public[33:])

	// signed is the assertion with some members of header and claims changed; nil takes one away.
	signed := func(method jwt.SigningMethod, key crypto.PrivateKey, header, claims map[string]any) string {
		token := &jwt.Token{Method: method, Header: maps.Clone(parsed.Header), Claims: jwt.MapClaims{}}
		token.Header["alg"] = method.Alg()
		all := jwt.MapClaims{}
		maps.Copy(all, parsed.Claims.(jwt.MapClaims)) //nolint:forcetypeassert // it was parsed into these
		now := time.Now().Unix()
		all["iat"], all["exp"] = now, now+60
		for changes, into := range map[*map[string]any]map[string]any{&header: token.Header, &claims: all} {
			for name, value := range *changes {
				if into[name] = value; value == nil {
					delete(into, name)
				}
			}
		}
		token.Claims = all
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatalf("signing: %v", err)
		}
		return text
	}
	es256 := func(header, claims map[string]any) string { return signed(jwt.SigningMethodES256, key, header, claims) }
	type m = map[string]any
	parts := strings.Split(genuine, ".")
	return []attempt{
		{name: "as the gate made it", token: genuine, good: true},
		{name: "signed anew", token: es256(nil, nil), good: true},
		{name: "another site", token: es256(nil, m{"aud": "https://wiki.contoso.com"})},
		{name: "another site's issuer", token: es256(nil, m{"iss": "https://wiki.contoso.com/.verified-id"})},
		{name: "no audience", token: es256(nil, m{"aud": nil})},
		{name: "no issuer", token: es256(nil, m{"iss": nil})},
		{name: "no subject", token: es256(nil, m{"sub": nil})},
		{name: "expired", token: es256(nil, m{"iat": time.Now().Unix() - 120, "exp": time.Now().Unix() - 60})},
		{name: "endless", token: es256(nil, m{"exp": nil})},
		{name: "not valid yet", token: es256(nil, m{"nbf": time.Now().Unix() + 600})},
		{name: "another kind of token", token: es256(m{"typ": "JWT"}, nil)},
		{name: "no kind", token: es256(m{"typ": nil}, nil)},
		{name: "unknown key", token: es256(m{"kid": "../../dev/null"}, nil)},
		{name: "key of his own", token: signed(jwt.SigningMethodES256, mallorys, nil, nil)},
		{name: "key of his own, enclosed", token: signed(jwt.SigningMethodES256, mallorys, m{"jwk": m{"kty": "EC", "crv": "P-256", "x": x, "y": y}}, nil)},
		{name: "critical header", token: es256(m{"crit": []string{"b64"}, "b64": false}, nil)},
		{name: "not signed", token: signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil)},
		{name: "not signed, signature kept", token: signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil) + parts[2]},
		{name: "HMAC with the public key as PEM", token: signed(jwt.SigningMethodHS256, publicPEM, nil, nil)},
		{name: "HMAC with the public key's point", token: signed(jwt.SigningMethodHS256, public, nil, nil)},
		{name: "another's claims", token: parts[0] + "." + strings.Split(es256(nil, m{"sub": "mallory"}), ".")[1] + "." + parts[2]},
		{name: "signature taken away", token: parts[0] + "." + parts[1] + "."},
		{name: "signature of zeros", token: parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64))},
		{name: "text", token: "Mallory"},
		{name: "nothing", token: ""},
	}
}

// goExample builds the example in Go.
func goExample(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "assertion-go")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../examples/assertion-go")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, output)
	}
	return path
}

// nodeExample is how the example for Node.js is run. Without Node.js or its one package the test fails.
func nodeExample(t *testing.T) []string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("Node.js is missing: run scripts/prepare, or install it (Debian: apt-get install nodejs npm)")
	}
	if _, err := os.Stat("../examples/assertion-node/node_modules/jose"); err != nil {
		t.Fatal("the example's package is missing: run scripts/prepare, or: cd examples/assertion-node && npm ci")
	}
	return []string{node, "../examples/assertion-node/server.mjs"}
}

// startAssertionApp runs an app until the test ends, and waits until it listens.
func startAssertionApp(t *testing.T, w *world, name, address string, command ...string) {
	t.Helper()
	output := caddyprocess.NewLog()
	ca := w.file(name+"-ca.pem", w.emulator.CA().PEM())
	run := exec.CommandContext(context.WithoutCancel(t.Context()), command[0], command[1:]...)
	run.Env = append(os.Environ(), "SITE="+w.origin, "LISTEN="+address, "SSL_CERT_FILE="+ca, "NODE_EXTRA_CA_CERTS="+ca)
	run.Stdout, run.Stderr = output, output
	if err := run.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	t.Cleanup(func() {
		_ = run.Process.Kill()
		_ = run.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s said:\n%s", name, output)
		}
	})
	waitFor(t, address)
}

// get fetches a page without a browser.
func (w *world) get(url string, header http.Header) (status int, body string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header = header
	response, err := w.client.Do(r)
	if err != nil {
		w.t.Fatalf("fetching %s: %v", url, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatalf("fetching %s: %v", url, err)
	}
	return response.StatusCode, string(text)
}

// assertionSeen is the last assertion that reached the app that knows nothing of it.
func (w *world) assertionSeen() string {
	w.t.Helper()
	seen := w.app.seen()
	assertion := seen[len(seen)-1].Header.Get(assertionHeader)
	if assertion == "" {
		w.t.Fatal("no assertion has reached the app")
	}
	return assertion
}

// assertionKeys is the key in Caddy's storage that signs assertions.
func (w *world) assertionKeys() *ecdsa.PrivateKey {
	w.t.Helper()
	key, err := jwt.ParseECPrivateKeyFromPEM(w.storedKey("assertion.json"))
	if err != nil {
		w.t.Fatalf("reading the key: %v", err)
	}
	return key
}

// storedKey is the only key in a file of Caddy's storage, as PEM.
func (w *world) storedKey(file string) []byte {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join(w.home, "data", "caddy", "verified_id", file))
	if err != nil {
		w.t.Fatalf("reading the key: %v", err)
	}
	var stored struct {
		Keys []struct {
			PEM string `json:"pem"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(content, &stored); err != nil || len(stored.Keys) != 1 {
		w.t.Fatalf("%d keys are stored (%v), want one", len(stored.Keys), err)
	}
	return []byte(stored.Keys[0].PEM)
}
