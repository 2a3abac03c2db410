// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// unverified reads the claims of a token without looking at its signature.
func unverified(t *testing.T, token string) map[string]any {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token+"..", ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	wallet, err := w.e.NewWallet(emulator.WalletConfig{DIDMethod: emulator.JWK}) // P-256, for the second library
	if err != nil {
		t.Fatal(err)
	}
	card, err := w.e.IssueTo(wallet, "VerifiedIdentity", nil)
	if err != nil {
		t.Fatal(err)
	}
	body := w.presentation("VerifiedIdentity", emulator.PartnerAuthority)
	put(body, true, "includeReceipt")
	if outcome := w.share(w.openIn(wallet, w.link(body)), emulator.ShareOptions{}); !outcome.Accepted {
		t.Fatalf("Share() = %+v", outcome)
	}
	receipt := at(w.relying.last(t).body, "receipt")
	id := w.verify(t, text(receipt, "id_token"), wallet.DID())
	vp := w.verify(t, text(receipt, "vp_token"), wallet.DID()) // one presentation: a string
	if text(id, "iss") != "https://self-issued.me/v2/openid-vc" || text(id, "aud") != emulator.DemoAuthority ||
		text(id, "nonce") == "" || text(id, "nonce") != text(vp, "nonce") || text(vp, "aud") != emulator.DemoAuthority {
		t.Errorf("id_token = %v, vp_token = %v", id, vp)
	}
	if text(vp, "vp", "verifiableCredential", 0) != card.Token {
		t.Error("the receipt holds another card than the wallet")
	}
	w.verify(t, card.Token, emulator.PartnerAuthority)
	if state := text(receipt, "state"); state == "" || state == "state-1" {
		t.Errorf("receipt.state = %q, want the service's own", state)
	}
	if at(receipt, "faceCheck") != nil {
		t.Error("receipt.faceCheck without a Face Check")
	}

	if outcome := w.share(w.openIn(wallet, w.link(faceCheck(body, "portrait", 75))), emulator.ShareOptions{FaceScore: 88.5}); !outcome.Accepted {
		t.Fatalf("Share() = %+v", outcome)
	}
	receipt = at(w.relying.last(t).body, "receipt")
	if vps, _ := at(receipt, "vp_token").([]any); len(vps) != 2 {
		t.Errorf("vp_token = %d presentations, want an array of two: the liveness credential comes in its own", len(vps))
	}
	check := w.verify(t, text(receipt, "faceCheck"), emulator.FaceCheckAuthority)
	result := at(check, "vc", "credentialSubject", "faceCheckResults", 0)
	if text(check, "vc", "type", 1) != "MicrosoftFaceCheckReceipt" || text(result, "sourceVcJti") != card.ID ||
		at(result, "matchConfidenceThreshold") != 75.0 || at(result, "matchConfidenceScore") != 88.5 || text(result, "sourcePhotoQuality") != "HIGH" {
		t.Errorf("faceCheck = %v, want the result for the card", check)
	}
}

// TestRequestObject compares what the wallet fetches with the worked example, member by member.
func TestRequestObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	body := w.presentation("VerifiedEmployee", emulator.DemoAuthority)
	uri := strings.TrimPrefix(w.link(body), "openid-vc://?request_uri=")
	fetch := func() map[string]any {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, uri, nil)
		if err != nil {
			t.Fatal(err)
		}
		return w.verify(t, w.fetch(request), emulator.DemoAuthority)
	}
	got, want := fetch(), at(example(t, "request-object-decoded"), "payload")
	definition := []any{"claims", "vp_token", "presentation_definition", "input_descriptors", 0}
	for _, path := range [][]any{
		{"response_type"},
		{"response_mode"},
		{"scope"},
		{"client_id"},
		{"registration", "client_name"},
		{"registration", "subject_syntax_types_supported", 0},
		{"registration", "vp_formats", "jwt_vp", "alg", 0},
		{"registration", "vp_formats", "jwt_vc", "alg", 1},
		append(definition, "id"), append(definition, "schema", 0, "uri"),
		append(definition, "constraints", "fields", 0, "path", 2), append(definition, "constraints", "fields", 0, "filter", "type"),
	} {
		if text(got, path...) != text(want, path...) || text(got, path...) == "" {
			t.Errorf("%v = %q, want %q", path, text(got, path...), text(want, path...))
		}
	}
	if at(got, "exp").(float64)-at(got, "iat").(float64) != 300 { //nolint:forcetypeassert // fails the test as it should
		t.Errorf("exp - iat = %v - %v, want 300", at(got, "exp"), at(got, "iat"))
	}
	if !strings.HasPrefix(text(got, "redirect_uri"), w.service+"/v1.0/") || text(got, "state") == "state-1" || len(text(got, "nonce")) != 24 {
		t.Errorf("redirect_uri, state, nonce = %q %q %q", text(got, "redirect_uri"), text(got, "state"), text(got, "nonce"))
	}
	if again := fetch(); text(again, "nonce") == text(got, "nonce") || text(again, "state") != text(got, "state") {
		t.Error("a second reading has the same nonce or another state")
	}
}

// TestRelayedRequest opens a link whose request_uri is a relying party's own, which passes the service's request on. The
// wallet checks the signature, not the origin.
func TestRelayedRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	uri := strings.TrimPrefix(w.link(w.presentation("VerifiedEmployee", emulator.DemoAuthority)), "openid-vc://?request_uri=")
	relay := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, uri, nil)
		if err != nil {
			t.Error(err)
			return
		}
		answer, err := w.client.Do(request)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = answer.Body.Close() }()
		rw.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
		rw.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(rw, answer.Body) // the wallet has gone
	}))
	t.Cleanup(relay.Close)
	offer := w.openIn(w.e.Wallet(), "openid-vc://?request_uri="+relay.URL)
	if outcome := w.share(offer, emulator.ShareOptions{}); !outcome.Accepted {
		t.Errorf("Share() = %+v, want accepted", outcome)
	}
}

// TestPlatformSpellings compares the details in which Android and iOS differ, on which nobody should depend.
func TestPlatformSpellings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		platform     emulator.Platform
		path, nested string
		idLife       float64
		vpLife       float64
		hasID        bool
	}{
		{emulator.Android, "$", "$.verifiableCredential[0]", 3600, 3600, false},
		{emulator.IOS, "$[0]", "$[0].verifiableCredential[0]", 300, 3000, true},
	} {
		w := newWorld(t, nil)
		wallet, err := w.e.NewWallet(emulator.WalletConfig{Platform: c.platform})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.e.IssueDemoCards(wallet); err != nil {
			t.Fatal(err)
		}
		body := w.presentation("VerifiedEmployee", emulator.DemoAuthority)
		put(body, true, "includeReceipt")
		w.share(w.openIn(wallet, w.link(body)), emulator.ShareOptions{})
		receipt := at(w.relying.last(t).body, "receipt")
		id, vp := unverified(t, text(receipt, "id_token")), unverified(t, text(receipt, "vp_token"))
		entry := at(id, "_vp_token", "presentation_submission", "descriptor_map", 0)
		if text(entry, "path") != c.path || text(entry, "path_nested", "path") != c.nested || text(entry, "id") != "VerifiedEmployee-1" {
			t.Errorf("%s: descriptor = %v, want %s and %s", c.platform, entry, c.path, c.nested)
		}
		life := func(claims map[string]any) float64 { return at(claims, "exp").(float64) - at(claims, "iat").(float64) } //nolint:forcetypeassert // fails the test as it should
		if life(id) != c.idLife || life(vp) != c.vpLife || (at(vp, "jti") != nil) != c.hasID {
			t.Errorf("%s: lifetimes %v and %v, jti %v", c.platform, life(id), life(vp), at(vp, "jti"))
		}
	}
}
