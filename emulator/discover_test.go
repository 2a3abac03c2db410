// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// fetch returns the body of an answer as text.
func (w *world) fetch(request *http.Request) string {
	w.t.Helper()
	answer, err := w.client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		w.t.Fatalf("%s = %d %s", request.URL, answer.StatusCode, body)
	}
	return string(body)
}

// document resolves a DID over the resolver.
func (w *world) document(did string) map[string]any {
	w.t.Helper()
	status, answer := w.do(w.client, http.MethodGet, w.service+"/v1.0/identifiers/"+did, nil, nil)
	document, _ := at(answer, "didDocument").(map[string]any)
	if status != http.StatusOK || text(document, "id") != did {
		w.t.Fatalf("resolver = %d %v, want the document of %s", status, answer, did)
	}
	return document
}

// verify checks a token of a P-256 authority with another library than the emulator's own code, over the wire only:
// DID document by the resolver, key by its relative id.
func (w *world) verify(t *testing.T, token, did string) map[string]any {
	t.Helper()
	document := w.document(did)
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(token *jwt.Token) (any, error) {
		kid, _ := token.Header["kid"].(string)
		for i := range 5 {
			if did+text(document, "verificationMethod", i, "id") == kid {
				return p256(t, at(document, "verificationMethod", i, "publicKeyJwk")), nil
			}
		}
		t.Fatalf("kid %q is not in the document", kid)
		return nil, nil
	}, jwt.WithValidMethods([]string{"ES256"}), jwt.WithTimeFunc(w.clock.Now))
	if err != nil {
		t.Fatalf("token of %s does not verify: %v", did, err)
	}
	return claims
}

func p256(t *testing.T, key any) *ecdsa.PublicKey {
	t.Helper()
	point := []byte{4}
	for _, name := range []string{"x", "y"} {
		b, err := base64.RawURLEncoding.DecodeString(text(key, name))
		if err != nil {
			t.Fatal(err)
		}
		point = append(point, b...)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func TestDIDDocument(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	document := w.document(emulator.PartnerAuthority)
	if text(document, "@context", 1, "@base") != emulator.PartnerAuthority || !strings.HasPrefix(text(document, "verificationMethod", 0, "id"), "#vcSigningKey-") ||
		text(document, "service", 0, "type") != "LinkedDomains" || text(document, "service", 0, "serviceEndpoint", "origins", 0) != "https://www.fabrikam-idv.example/" ||
		text(document, "service", 1, "type") != "IdentityHub" || text(document, "assertionMethod", 0) != text(document, "verificationMethod", 0, "id") {
		t.Errorf("document = %v, want the form that Entra publishes", document)
	}
	if err := w.e.RotateKey(emulator.PartnerAuthority); err != nil {
		t.Fatal(err)
	}
	rotated := w.document(emulator.PartnerAuthority)
	if text(rotated, "verificationMethod", 1, "id") != text(document, "verificationMethod", 0, "id") {
		t.Error("the old key is gone after a change of keys, or does not come second")
	}
	for _, did := range []string{"did:web:unknown.example", "did:key:z6Mk", "did:ion:EiA", "nothing"} {
		if status, _ := w.do(w.client, http.MethodGet, w.service+"/v1.0/identifiers/"+did, nil, nil); status != http.StatusNotFound {
			t.Errorf("resolving %s = %d, want 404", did, status)
		}
	}
	if document := w.document(w.e.Wallet().DID()); text(document, "verificationMethod", 0, "publicKeyJwk", "crv") != "secp256k1" {
		t.Errorf("holder's document = %v, want a secp256k1 key", document)
	}
}

// TestFilesByHost reads the well-known files as a program does that has the reserved names in its hosts file.
func TestFilesByHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, file := range []string{"did.json", "did-configuration.json"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.service+"/.well-known/"+file, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "verifiedid.contoso.example"
		byHost := w.fetch(request)
		request, err = http.NewRequestWithContext(t.Context(), http.MethodGet, w.service+"/domains/verifiedid.contoso.example/.well-known/"+file, nil)
		if err != nil {
			t.Fatal(err)
		}
		if byPath := w.fetch(request); file == "did.json" && byPath != byHost {
			t.Errorf("%s differs between host and path", file)
		}
		if status, _ := w.do(w.client, http.MethodGet, w.service+"/domains/nobody.example/.well-known/"+file, nil, nil); status != http.StatusNotFound {
			t.Errorf("%s of an unknown host = %d, want 404", file, status)
		}
	}
}

func TestDIDConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, file := w.do(w.client, http.MethodGet, w.service+"/domains/www.fabrikam-idv.example/.well-known/did-configuration.json", nil, nil)
	entries, _ := at(file, "linked_dids").([]any)
	if len(entries) != 2 {
		t.Fatalf("file = %v, want two entries", file)
	}
	first := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(text(entries, 0), first); err != nil || first["iss"] == emulator.PartnerAuthority {
		t.Errorf("first entry belongs to %v (%v), want another DID: readers must look at all", first["iss"], err)
	}
	link := w.verify(t, text(entries, 1), emulator.PartnerAuthority)
	if text(link, "sub") != emulator.PartnerAuthority || text(link, "vc", "credentialSubject", "id") != emulator.PartnerAuthority ||
		text(link, "vc", "credentialSubject", "origin") != "https://www.fabrikam-idv.example/" || text(link, "vc", "type", 1) != "DomainLinkageCredential" {
		t.Errorf("entry = %v", link)
	}
	_, file = w.do(w.client, http.MethodGet, w.service+"/domains/verifiedid.contoso.example/.well-known/did-configuration.json", nil, nil)
	for _, entry := range at(file, "linked_dids").([]any) { //nolint:forcetypeassert // fails the test as it should
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(text(entry), claims); err != nil || claims["iss"] == emulator.MalloryAuthority {
			t.Errorf("contoso's domain confirms %v (%v)", claims["iss"], err)
		}
	}
}

// TestStatusListIsLeastSignificantFirst reads a revocation as the public wallet code does: through the hub named in the
// issuer's DID document. With the other bit order the answer would be another person's.
func TestStatusListIsLeastSignificantFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var cards []emulator.Card
	for range 6 {
		cards = append(cards, w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"}))
	}
	for _, i := range []int{1, 4} {
		if err := w.e.Revoke(cards[i].ID); err != nil {
			t.Fatal(err)
		}
	}
	for i, card := range cards {
		claims := w.verify(t, card.Token, emulator.DemoAuthority)
		status := at(claims, "vc", "credentialStatus")
		bits := w.statusList(t, status)
		index := int(at(status, "statusListIndex").(float64)) //nolint:forcetypeassert // fails the test as it should
		if !strings.HasSuffix(text(status, "id"), "?bit-index="+jsonText(t, index)) || text(status, "type") != "RevocationList2021Status" {
			t.Errorf("credentialStatus = %v", status)
		}
		if got, want := bits[index/8]&(1<<(index%8)) != 0, i == 1 || i == 4; got != want {
			t.Errorf("card %d at %d: revoked = %v, want %v", i, index, got, want)
		}
		if index%8 != 7-index%8 && (i == 1 || i == 4) && bits[index/8]&(0x80>>(index%8)) != 0 {
			t.Errorf("card %d at %d: the bit reads the same in both orders, which tests nothing", i, index)
		}
	}
}

// statusList follows a credentialStatus to its list.
func (w *world) statusList(t *testing.T, status any) []byte {
	t.Helper()
	did, query, _ := strings.Cut(text(status, "statusListCredential"), "?service=IdentityHub&queries=")
	rawQuery, err := base64.RawURLEncoding.DecodeString(query)
	if err != nil {
		t.Fatal(err)
	}
	var descriptors []map[string]any
	if err := json.Unmarshal(rawQuery, &descriptors); err != nil {
		t.Fatal(err)
	}
	hub := text(w.document(did), "service", 1, "serviceEndpoint", "instances", 0)
	ask, err := json.Marshal(map[string]any{
		"requestId": "1", "target": did, "messages": []any{map[string]any{"descriptor": descriptors[0]}},
	})
	if err != nil {
		t.Fatal(err)
	}
	code, answer := w.do(w.client, http.MethodPost, hub, http.Header{"Content-Type": {"application/json"}}, ask)
	token, err := base64.RawURLEncoding.DecodeString(text(answer, "replies", 0, "entries", 0, "data"))
	if err != nil || code != http.StatusOK {
		t.Fatalf("hub = %d %v, %v", code, answer, err)
	}
	list := w.verify(t, string(token), did)
	packed, err := base64.RawURLEncoding.DecodeString(text(list, "vc", "credentialSubject", "encodedList"))
	if err != nil {
		t.Fatal(err)
	}
	unzip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	bits, err := io.ReadAll(unzip)
	if err != nil || len(bits) != 16384 {
		t.Fatalf("list has %d bytes (%v), want 16384", len(bits), err)
	}
	return bits
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHubRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	hub := w.service + "/v1.0/hub/" + emulator.DemoTenant
	asJSON := http.Header{"Content-Type": {"application/json"}}
	for body, want := range map[string]int{
		"{":                                  400,
		`{"target":"did:web:other.example"}`: 404,
		`{"target":"` + emulator.PartnerAuthority + `"}`:                                                                       404,
		`{"target":"` + emulator.DemoAuthority + `","messages":[{"descriptor":{"method":"CollectionsQuery","objectId":"x"}}]}`: 200,
	} {
		status, answer := w.do(w.client, http.MethodPost, hub, asJSON, []byte(body))
		if status != want {
			t.Errorf("%s = %d %v, want %d", body, status, answer, want)
		}
		if entries, _ := at(answer, "replies", 0, "entries").([]any); status == 200 && len(entries) != 0 {
			t.Errorf("%s = %v, want no entries", body, answer)
		}
	}
	if status, _ := w.do(w.client, http.MethodPost, hub, nil, nil); status != http.StatusUnsupportedMediaType {
		t.Errorf("no JSON = %d, want 415", status)
	}
}
