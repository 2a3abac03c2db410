// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// What a visitor looks for on the pages of examples/partner-node.
const (
	nodeProve = `form[action^="/proven"] button`
	nodeLink  = `a.open[href^="openid-vc:"]`
	nodeCode  = "img.code"
)

// nodePartner runs examples/partner-node for a world that is not made yet, and returns its origin. Like most partners it stands
// behind something that speaks TLS.
func nodePartner(t *testing.T, w *world) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("Node.js is missing: run scripts/prepare, or install it (Debian: apt-get install nodejs npm)")
	}
	if _, err := os.Stat("../examples/partner-node/node_modules/jose"); err != nil {
		t.Fatal("the example's package is missing: run scripts/prepare, or: cd examples/partner-node && npm ci")
	}
	front, address := listen(t), fmt.Sprintf("127.0.0.1:%d", caddyprocess.FreePort(t))
	origin := "https://" + localhost(front)
	contract, err := w.emulator.Contract("VerifiedEmployee")
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(emulator.AnaLima("VerifiedEmployee"))
	if err != nil {
		t.Fatal(err)
	}
	output := caddyprocess.NewLog()
	run := exec.CommandContext(context.WithoutCancel(t.Context()), node, "../examples/partner-node/server.mjs")
	run.Env = append(os.Environ(), "SITE="+w.origin, "ORG_ID=contoso", "ORIGIN="+origin, "LISTEN="+address,
		"TENANT="+emulator.DemoTenant, "CLIENT_ID="+emulator.DemoClientID, "CLIENT_SECRET="+emulator.DemoClientSecret,
		"AUTHORITY="+emulator.DemoAuthority, "TYPE=VerifiedEmployee", "CLAIMS="+w.file("claims.json", claims),
		"MANIFEST="+w.emulator.ManifestURL(contract)+"?manifestType=claimInjection",
		"SERVICE="+w.emulator.PublicURL(), "LOGIN="+w.emulator.TokenURL(),
		"NODE_EXTRA_CA_CERTS="+w.file("node-ca.pem", w.emulator.CA().PEM()))
	run.Stdout, run.Stderr = output, output
	if err := run.Start(); err != nil {
		t.Fatalf("starting the partner: %v", err)
	}
	t.Cleanup(func() {
		_ = run.Process.Kill()
		_ = run.Wait() // it was killed
		if output.Contains("Ana") || output.Contains(emulator.DemoClientSecret) {
			t.Error("the partner's log tells who the visitor is, or its secret")
		}
		if t.Failed() {
			t.Logf("the partner said:\n%s", output)
		}
	})
	waitFor(t, address)
	w.serve(front, httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address}))
	return origin
}

// waitFor waits until somebody listens at the address.
func waitFor(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("nobody listens at %s: %v", address, err)
		}
	}
}

// The partner of examples/partner-node, which checks our link with a library of others, has the card issued, sends the visitor back
// when it is in the wallet and not before, and they are in. By a link, and by a form, with scripts and without.
func TestPartnerInNodeSendsVisitorBack(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"get", "post"} {
		var partner string
		w := newWorld(t, plan{noCard: true, partner: func(w *world) string { partner = nodePartner(t, w); return partner }, idv: "method " + method})
		v := newVisitor(t)
		if method == "post" {
			v.withoutScripts()
		}
		v.open(w.origin + "/payroll/march")
		v.click(needCard)
		if method == "post" {
			v.click("form[data-send] button")
		}
		v.click(nodeProve)
		v.see(nodeCode)
		link := v.attribute(nodeLink, "href")
		w.expectDeafPartner(partner, link)
		w.take(link)
		v.see(haveCard)
		w.expectNobodyIn()
		if method == "get" {
			v.click(haveCard)
			w.accept(w.scan(v))
			w.expectIn(v, "/payroll/march")
			w.expectStrictPartner(partner)
		}
	}
}

// expectDeafPartner sends the partner callbacks about the request behind the link that have all but the key of the service's.
func (w *world) expectDeafPartner(partner, link string) {
	w.t.Helper()
	var asked struct {
		Callback struct {
			State string `json:"state"`
		} `json:"callback"`
	}
	made := w.emulator.RequestsTo(emulator.APICreateIssuance)
	if err := json.Unmarshal(made[len(made)-1].Body, &asked); err != nil {
		w.t.Fatal(err)
	}
	told := fmt.Sprintf(`{"requestId":%q,"requestStatus":"issuance_successful","state":%q}`, link[strings.LastIndexByte(link, '/')+1:], asked.Callback.State)
	for _, key := range []string{"", "guessed"} {
		request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, partner+"/callback", strings.NewReader(told))
		if err != nil {
			w.t.Fatal(err)
		}
		request.Header.Set("Api-Key", key)
		answer, err := w.client.Do(request)
		if err != nil {
			w.t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusForbidden {
			w.t.Errorf("a callback with the key %q is answered %d", key, answer.StatusCode)
		}
	}
}

// expectStrictPartner sends the partner links that it must not take: made with our own key where a stranger could not have it, so
// that nothing but the check in question can refuse them.
func (w *world) expectStrictPartner(partner string) {
	w.t.Helper()
	key, kid := w.kickstartKey()
	mallorys, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		w.t.Fatal(err)
	}
	type m = map[string]any
	fresh := 0
	signed := func(method jwt.SigningMethod, key crypto.PrivateKey, header, claims m) string {
		fresh++
		now := time.Now().Unix()
		token := jwt.NewWithClaims(method, jwt.MapClaims{
			"OrgId": "contoso", "RequestId": fmt.Sprintf("request-of-a-test-%d", fresh), "exp": now + 300,
			"redirectUrl": w.origin + "/.verified-id/return", "iss": w.origin, "aud": partner, "iat": now, "nbf": now - 30,
			"jti": fmt.Sprintf("jti-of-a-test-here-%d", fresh),
		})
		token.Header["kid"] = kid
		maps.Copy(token.Header, header)
		for name, value := range claims {
			if token.Claims.(jwt.MapClaims)[name] = value; value == nil { //nolint:forcetypeassert // made above
				delete(token.Claims.(jwt.MapClaims), name) //nolint:forcetypeassert // the same
			}
		}
		text, err := token.SignedString(key)
		if err != nil {
			w.t.Fatalf("signing: %v", err)
		}
		return text
	}
	rs256 := func(header, claims m) string { return signed(jwt.SigningMethodRS256, key, header, claims) }
	past := time.Now().Unix() - 600
	used := rs256(nil, nil)
	for _, attempt := range []struct {
		name, token string
		good        bool
	}{
		{"sound", used, true},
		{"replayed", used, false},
		{"RequestId used with another jti", rs256(nil, m{"RequestId": "request-of-a-test-1"}), false},
		{"expired", rs256(nil, m{"exp": past, "iat": past - 300, "nbf": past - 300}), false},
		{"endless", rs256(nil, m{"exp": nil}), false},
		{"too long", rs256(nil, m{"exp": time.Now().Unix() + 3600}), false},
		{"not yet", rs256(nil, m{"nbf": time.Now().Unix() + 600}), false},
		{"wrong organisation", rs256(nil, m{"OrgId": "fabrikam"}), false},
		{"no organisation", rs256(nil, m{"OrgId": nil}), false},
		{"other issuer", rs256(nil, m{"iss": "https://evil.example"}), false},
		{"for another partner", rs256(nil, m{"aud": "https://other.example"}), false},
		{"for two partners", rs256(nil, m{"aud": []string{partner, "https://other.example"}}), false},
		{"redirect elsewhere", rs256(nil, m{"redirectUrl": "https://evil.example/"}), false},
		{"redirect below ours", rs256(nil, m{"redirectUrl": w.origin + "/.verified-id/return?next=//evil.example"}), false},
		{"no RequestId", rs256(nil, m{"RequestId": nil}), false},
		{"no jti", rs256(nil, m{"jti": nil}), false},
		{"other kind of token", rs256(m{"typ": "at+jwt"}, nil), false},
		{"unknown key", rs256(m{"kid": "of-nobody"}, nil), false},
		{"key of his own", signed(jwt.SigningMethodRS256, mallorys, nil, nil), false},
		{"key of his own, enclosed", signed(jwt.SigningMethodRS256, mallorys, m{"jwk": m{"kty": "RSA"}}, nil), false},
		{"other algorithm", signed(jwt.SigningMethodPS256, key, nil, nil), false},
		{"HMAC with the public key", signed(jwt.SigningMethodHS256, key.N.Bytes(), nil, nil), false},
		{"alg none", signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil), false},
		{"text", "Mallory", false},
		{"nothing", "", false},
	} {
		// The first answer to a good one is a redirect to the visit, which the client follows.
		status, body := w.get(partner+"/contoso/?token="+attempt.token, nil)
		if want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[attempt.good]; status != want {
			w.t.Errorf("%s: status %d, want %d; %.200s", attempt.name, status, want, body)
		}
	}
}

// kickstartKey is the key in Caddy's storage that signs links, and its name in the key set.
func (w *world) kickstartKey() (*rsa.PrivateKey, string) {
	w.t.Helper()
	key, err := jwt.ParseRSAPrivateKeyFromPEM(w.storedKey("kickstart.json"))
	if err != nil {
		w.t.Fatalf("reading the key: %v", err)
	}
	hash := sha256.Sum256([]byte(`{"e":"AQAB","kty":"RSA","n":"` + base64.RawURLEncoding.EncodeToString(key.N.Bytes()) + `"}`))
	return key, base64.RawURLEncoding.EncodeToString(hash[:])
}
