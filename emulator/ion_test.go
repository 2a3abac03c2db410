// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// signedChain is a presentation that independent code has signed: issuer P-256, holder did:ion with secp256k1.
type signedChain struct {
	Holder           string           `json:"holder"`
	IDToken          string           `json:"id_token"`
	VPToken          string           `json:"vp_token"`
	IssuerDocument   didDocument      `json:"issuer_document"`
	DIDConfiguration didConfiguration `json:"did_configuration"`
	IDVDocument      didDocument      `json:"idv_document"`
}

func readSignedChain(t testing.TB) signedChain {
	t.Helper()
	raw, err := os.ReadFile("testdata/signed-chain.json")
	if err != nil {
		t.Fatal(err)
	}
	var chain signedChain
	if err := json.Unmarshal(raw, &chain); err != nil {
		t.Fatal(err)
	}
	return chain
}

// TestForeignSignatures checks the emulator's own reading of tokens against vectors made elsewhere.
func TestForeignSignatures(t *testing.T) {
	t.Parallel()
	chain := readSignedChain(t)
	holder, ok, err := resolveSelfContained(chain.Holder)
	if !ok || err != nil {
		t.Fatalf("resolveSelfContained() = %v, %v", ok, err)
	}
	for name, token := range map[string]string{"id_token": chain.IDToken, "vp_token": chain.VPToken} {
		parsed, err := parseToken(token)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		key, err := holder.key(parsed.kid, authentication)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := parsed.verify(key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := holder.key(parsed.kid, assertionMethod); err == nil {
			t.Errorf("%s: a key for authentication is taken for statements", name)
		}
		parsed.input += "A"
		if err := parsed.verify(key); err == nil {
			t.Errorf("%s: verifies after a change", name)
		}
	}
	vp, err := parseToken(chain.VPToken)
	if err != nil {
		t.Fatal(err)
	}
	var presented vpToken
	if err := vp.claims(&presented); err != nil {
		t.Fatal(err)
	}
	card, err := parseToken(presented.VP.Credentials[0])
	if err != nil {
		t.Fatal(err)
	}
	key, err := chain.IssuerDocument.key(card.kid, assertionMethod)
	if err != nil {
		t.Fatal(err)
	}
	if err := card.verify(key); err != nil {
		t.Errorf("credential: %v", err)
	}
	now := time.Date(2026, 1, 15, 10, 2, 0, 0, time.UTC)
	fetch := func(string) ([]byte, error) { return json.Marshal(chain.DIDConfiguration) }
	if origin, verified := linkedDomain(chain.IDVDocument, fetch, now); !verified || origin != "https://www.fabrikam-idv.example/" {
		t.Errorf("linkedDomain() = %q, %v, want it verified", origin, verified)
	}
	if _, verified := linkedDomain(chain.IssuerDocument, fetch, now); verified {
		t.Error("linkedDomain() of another DID is verified by the same file")
	}
	if _, verified := linkedDomain(chain.IDVDocument, fetch, now.AddDate(100, 0, 0)); verified {
		t.Error("linkedDomain() is verified a hundred years later")
	}
}

// TestForgedION changes a long-form DID so that it names the attacker's key under somebody else's suffix.
func TestForgedION(t *testing.T) {
	t.Parallel()
	rand := &random{source: zeroes{}}
	mine, err := newION(newPrivateKey(P256K, rand).public(), rand)
	if err != nil {
		t.Fatal(err)
	}
	theirs := readSignedChain(t).Holder
	if len(theirs) < 700 || len(mine) < 700 {
		t.Errorf("lengths = %d and %d, want several hundred characters", len(theirs), len(mine))
	}
	suffix := func(did string) string { return strings.Split(did, ":")[2] }
	long := func(did string) string { return strings.Split(did, ":")[3] }
	edit := func(from, to string) string {
		data, err := base64.RawURLEncoding.DecodeString(long(theirs))
		if err != nil || !strings.Contains(string(data), from) {
			t.Fatalf("cannot edit %q: %v", from, err)
		}
		return "did:ion:" + suffix(theirs) + ":" + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(data), from, to, 1)))
	}
	for name, did := range map[string]string{
		"another's suffix":     "did:ion:" + suffix(theirs) + ":" + long(mine),
		"short form":           "did:ion:" + suffix(theirs),
		"initial state":        theirs + "?-ion-initial-state=x",
		"padding":              theirs + "==",
		"no JSON":              "did:ion:" + suffix(theirs) + ":aGVsbG8",
		"another key id":       edit(`"id":"sign"`, `"id":"evil"`),
		"another delta hash":   edit(`"deltaHash":"Ei`, `"deltaHash":"Ej`),
		"another commitment":   edit(`"recoveryCommitment":"Ei`, `"recoveryCommitment":"Ej`),
		"member named twice":   edit(`{"delta":`, `{"delta":{},"delta":`),
		"another action":       edit(`"replace"`, `"add-public-keys"`),
		"did:jwk, no JSON":     "did:jwk:aGVsbG8",
		"did:jwk, no base64":   "did:jwk:***",
		"did:jwk, private key": "did:jwk:" + base64.RawURLEncoding.EncodeToString([]byte(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}`)),
	} {
		document, ok, err := resolveSelfContained(did)
		if err == nil && strings.HasPrefix(did, "did:jwk:") {
			_, err = document.key("#0", authentication)
		}
		if !ok || err == nil {
			t.Errorf("%s: resolves, or is not even tried (%v)", name, ok)
		}
	}
	if _, err := resolveION(mine); err != nil {
		t.Errorf("own DID: %v", err)
	}
	if _, err := resolveION(rehashed(t, mine, "add-public-keys")); err == nil || !strings.Contains(err.Error(), "patch action") {
		t.Errorf("resolveION() with another action = %v, want the action refused", err)
	}
	if _, err := resolveION(rehashed(t, mine, "replace")); err != nil {
		t.Errorf("resolveION() of the same, hashed again = %v", err)
	}
}

// rehashed gives a DID's patches another action and makes all hashes fit again.
func rehashed(t *testing.T, did, action string) string {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(did, ":")[3])
	if err != nil {
		t.Fatal(err)
	}
	var form ionLongForm
	if err := json.Unmarshal(data, &form); err != nil {
		t.Fatal(err)
	}
	form.Delta.Patches[0].Action = action
	delta, err := canonicalJSON(form.Delta)
	if err != nil {
		t.Fatal(err)
	}
	form.SuffixData.DeltaHash = multihash(delta)
	suffix, err := canonicalJSON(form.SuffixData)
	if err != nil {
		t.Fatal(err)
	}
	long, err := canonicalJSON(form)
	if err != nil {
		t.Fatal(err)
	}
	return ionPrefix + multihash(suffix) + ":" + base64.RawURLEncoding.EncodeToString(long)
}

// zeroes is a source that counts, so that keys are the same in every run.
type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i + 1)
	}
	return len(p), nil
}

func TestSameRandomnessSameKeys(t *testing.T) {
	t.Parallel()
	for _, alg := range []KeyAlg{P256, P256K} {
		one, two := newPrivateKey(alg, &random{source: zeroes{}}), newPrivateKey(alg, &random{source: zeroes{}})
		if one.public().jwk() != two.public().jwk() {
			t.Errorf("%s: different keys from the same source", alg)
		}
		key, err := one.public().jwk().publicKey()
		if err != nil || key.jwk() != one.public().jwk() {
			t.Errorf("%s: JWK does not survive reading: %v", alg, err)
		}
	}
}

func TestBadKeys(t *testing.T) {
	t.Parallel()
	good := newPrivateKey(P256, &random{source: zeroes{}}).public().jwk()
	for name, change := range map[string]func(*jwk){
		"private part":   func(j *jwk) { j.D = "AA" },
		"not EC":         func(j *jwk) { j.Kty = "RSA" },
		"off the curve":  func(j *jwk) { j.X = j.Y },
		"another curve":  func(j *jwk) { j.Crv = "secp256k1" },
		"unknown curve":  func(j *jwk) { j.Crv = "P-521" },
		"short":          func(j *jwk) { j.X = "AAAA" },
		"padded base64":  func(j *jwk) { j.X += "=" },
		"no coordinates": func(j *jwk) { j.X, j.Y = "", "" },
	} {
		bad := good
		change(&bad)
		if _, err := bad.publicKey(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestTokenForms feeds what is no strict compact JWS.
func TestTokenForms(t *testing.T) {
	t.Parallel()
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	body := "." + encode(`{"a":1}`) + "." + encode("signature")
	for name, token := range map[string]string{
		"empty":             "",
		"two parts":         "a.b",
		"four parts":        "a.b.c.d",
		"empty signature":   encode(`{"alg":"ES256","kid":"k"}`) + "." + encode("{}") + ".",
		"padded":            encode(`{"alg":"ES256","kid":"k"}`) + "=" + body,
		"header is no JSON": encode("x") + body,
		"header twice":      encode(`{"alg":"ES256","alg":"none","kid":"k"}`) + body,
		"crit":              encode(`{"alg":"ES256","kid":"k","crit":["exp"]}`) + body,
		"another typ":       encode(`{"alg":"ES256","kid":"k","typ":"openid4vci-proof+jwt"}`) + body,
		"no kid":            encode(`{"alg":"ES256"}`) + body,
	} {
		if _, err := parseToken(token); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	parsed, err := parseToken(encode(`{"alg":"ES256","kid":"did:x:y#k","jwk":{}}`) + body)
	if err != nil || parsed.did() != "did:x:y" {
		t.Fatalf("parseToken() = %+v, %v", parsed, err)
	}
	for _, kind := range []KeyAlg{P256, P256K} {
		private := newPrivateKey(kind, &random{source: zeroes{}})
		signature, err := private.sign("input")
		if err != nil {
			t.Fatal(err)
		}
		for _, alg := range []string{"none", "HS256", "ES256", "ES256K", "es256", ""} {
			if err := private.public().verify(alg, "input", signature); (err == nil) != (alg == private.alg()) {
				t.Errorf("%s: algorithm %q: %v", kind, alg, err)
			}
		}
		for _, odd := range [][]byte{nil, signature[:63], append(signature[:64:64], 0), append(signature[:64:64], signature...)} {
			if err := private.public().verify(private.alg(), "input", odd); err == nil {
				t.Errorf("%s: a signature of %d bytes is accepted", kind, len(odd))
			}
		}
	}
	var claims struct {
		A string `json:"a"`
	}
	if err := parsed.claims(&claims); err == nil {
		t.Error("a number is taken for a string")
	}
}

func TestHighSIsAccepted(t *testing.T) {
	t.Parallel()
	// JOSE has no low-S rule; wallets do send such signatures. Order of secp256k1 minus s.
	key := newPrivateKey(P256K, &random{source: zeroes{}})
	signature, err := key.sign("input")
	if err != nil {
		t.Fatal(err)
	}
	high := append(append([]byte{}, signature[:32]...), negated(signature[32:])...)
	if err := key.public().verify("ES256K", "input", high); err != nil {
		t.Errorf("high S: %v", err)
	}
	if err := key.public().verify("ES256K", "input", make([]byte, 64)); err == nil {
		t.Error("zero signature: accepted")
	}
	full := make([]byte, 64)
	for i := range full {
		full[i] = 0xff
	}
	if err := key.public().verify("ES256K", "input", full); err == nil {
		t.Error("signature beyond the order: accepted")
	}
}

func FuzzParseToken(f *testing.F) {
	chain := readSignedChain(f)
	f.Add(chain.IDToken)
	f.Add(chain.VPToken)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		parsed, err := parseToken(token)
		if err != nil {
			return
		}
		var claims idToken
		if parsed.claims(&claims) == nil && strings.Count(token, ".") != 2 {
			t.Error("claims of what is no token")
		}
	})
}

func FuzzResolveSelfContained(f *testing.F) {
	f.Add(readSignedChain(f).Holder)
	f.Add("did:jwk:eyJrdHkiOiJFQyJ9")
	f.Add("did:ion:x:e30")
	f.Fuzz(func(t *testing.T, did string) {
		document, ok, err := resolveSelfContained(did)
		if !ok || err != nil {
			return
		}
		if document.ID != did {
			t.Errorf("resolved to the document of %q", document.ID)
		}
		for _, method := range document.VerificationMethod {
			_, _ = document.key(method.ID, authentication) // must not panic
		}
	})
}

func FuzzReadRequests(f *testing.F) {
	for _, name := range []string{"presentation-request-all-fields", "presentation-request-facecheck", "issuance-request-pin-hashed"} {
		raw, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	e, err := New(Config{PublicURL: "http://localhost:1", TokenURL: "https://localhost:2", AllowNonLoopback: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = e.Close() })
	f.Fuzz(func(t *testing.T, raw []byte) {
		if body, err := readFields(raw); err == nil {
			if asked, err := e.readPresentationRequest(body, DemoTenant); err == nil && (len(asked.credentials) == 0 || asked.callback.state == "") {
				t.Errorf("taken: %s", raw)
			}
		}
		if body, err := readFields(raw); err == nil {
			if asked, err := e.readIssuanceRequest(body, PartnerTenant); err == nil && asked.contract == nil {
				t.Errorf("taken: %s", raw)
			}
		}
	})
}
