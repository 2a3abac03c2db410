// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"testing"
	"time"
)

// offeredByHand makes an issuance request and what a good wallet would post for it, without any HTTP.
func offeredByHand(t *testing.T, now *time.Time) (e *Emulator, r *request, good issueRequest) {
	t.Helper()
	e = openByHand(t, now).e
	contract, err := e.contract("VerifiedIdentity")
	if err != nil {
		t.Fatal(err)
	}
	r = &request{
		kind: Issuance, id: "id", state: "state", tenant: PartnerTenant, authority: e.authorities[PartnerAuthority], created: *now,
		expires: now.Add(time.Minute), fetched: true,
		issuance: &issuanceRequest{contract: contract, manifest: e.ManifestURL(*contract), claims: map[string]string{"firstName": "Ana"}},
	}
	if err := e.requests.add(r, *now); err != nil {
		t.Fatal(err)
	}
	object, err := e.issuanceObject(r, "nonce")
	if err != nil {
		t.Fatal(err)
	}
	w := e.Wallet()
	public := w.key.public().jwk()
	thumbprint, err := public.thumbprint()
	if err != nil {
		t.Fatal(err)
	}
	return e, r, issueRequest{
		Iss: selfIssuedHint, Sub: thumbprint, SubJWK: public, DID: w.did, Aud: e.cardIssueURL(PartnerTenant),
		Iat: now.Unix(), Exp: now.Add(time.Hour).Unix(), JTI: "1", Contract: r.issuance.manifest,
		Attestations: attestations{IDTokens: map[string]string{selfIssuedHint: object.IDTokenHint}},
	}
}

// TestIssueRequestIsChecked posts to the issuer what a good wallet would not, one claim at a time.
func TestIssueRequestIsChecked(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	e, _, good := offeredByHand(t, &now)
	w := e.Wallet()
	stranger, err := e.NewWallet(WalletConfig{})
	if err != nil {
		t.Fatal(err)
	}
	partner := e.authorities[PartnerAuthority]
	for name, c := range map[string]struct {
		change func(*issueRequest)
		key    privateKey
		kid    string
		good   bool
	}{
		"good":                      {func(*issueRequest) {}, w.key, w.kid, true},
		"another issuer":            {func(a *issueRequest) { a.Iss = selfIssued }, w.key, w.kid, false},
		"another thumbprint":        {func(a *issueRequest) { a.Sub = "x" }, w.key, w.kid, false},
		"another audience":          {func(a *issueRequest) { a.Aud = e.cardIssueURL(DemoTenant) }, w.key, w.kid, false},
		"expired":                   {func(a *issueRequest) { a.Exp = now.Add(-skew).Unix() }, w.key, w.kid, false},
		"from the future":           {func(a *issueRequest) { a.Iat = now.Add(skew + time.Second).Unix() }, w.key, w.kid, false},
		"in the name of another":    {func(a *issueRequest) { a.DID = stranger.did }, w.key, w.kid, false},
		"signed by another":         {func(*issueRequest) {}, stranger.key, stranger.kid, false},
		"signed with another's key": {func(*issueRequest) {}, stranger.key, w.kid, false},
		"by an organisation": {
			func(a *issueRequest) { a.DID = partner.DID }, partner.keys[0].privateKey, partner.DID + "#" + partner.keys[0].id, false,
		},
	} {
		asked := good
		c.change(&asked)
		token, err := signToken(c.key, c.kid, asked)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.verifyIssueRequest(token, PartnerTenant); (err == nil) != c.good {
			t.Errorf("%s: verifyIssueRequest() = %v, want good %v", name, err, c.good)
		}
	}
	for _, token := range []string{"", "a.b.c"} {
		if _, err := e.verifyIssueRequest(token, PartnerTenant); err == nil {
			t.Errorf("verifyIssueRequest(%q) succeeds", token)
		}
	}
}

// TestHintIsChecked brings hints with claims that the issuer did not promise to this person here and now.
func TestHintIsChecked(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	e, r, good := offeredByHand(t, &now)
	hint := idTokenHint{
		JTI: r.id, Iss: selfIssuedHint, Sub: PartnerAuthority, Aud: e.cardIssueURL(PartnerTenant), Iat: now.Unix(), Exp: now.Add(time.Minute).Unix(),
	}
	presentation := &request{kind: Presentation, id: "presentation", state: "other", expires: now, authority: r.authority}
	if err := e.requests.add(presentation, now); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*idTokenHint, *issueRequest)
		signer string
		good   bool
	}{
		"good":                   {func(*idTokenHint, *issueRequest) {}, PartnerAuthority, true},
		"signed by another":      {func(*idTokenHint, *issueRequest) {}, MalloryAuthority, false},
		"of no request":          {func(h *idTokenHint, _ *issueRequest) { h.JTI = "unknown" }, PartnerAuthority, false},
		"of a presentation":      {func(h *idTokenHint, _ *issueRequest) { h.JTI = presentation.id }, PartnerAuthority, false},
		"for another issuer":     {func(h *idTokenHint, _ *issueRequest) { h.Aud = e.cardIssueURL(DemoTenant) }, PartnerAuthority, false},
		"expired":                {func(h *idTokenHint, _ *issueRequest) { h.Exp = now.Add(-time.Second).Unix() }, PartnerAuthority, false},
		"for another contract":   {func(_ *idTokenHint, a *issueRequest) { a.Contract += "?x=y" }, PartnerAuthority, false},
		"missing from the token": {func(_ *idTokenHint, a *issueRequest) { a.Attestations = attestations{} }, PartnerAuthority, false},
	} {
		h, asked := hint, good
		c.change(&h, &asked)
		token, err := e.authorities[c.signer].sign(h)
		if err != nil {
			t.Fatal(err)
		}
		if asked.Attestations.IDTokens != nil {
			asked.Attestations = attestations{IDTokens: map[string]string{selfIssuedHint: token}}
		}
		if _, err := e.verifyHint(&asked); (err == nil) != c.good {
			t.Errorf("%s: verifyHint() = %v, want good %v", name, err, c.good)
		}
	}
}

// TestRequestsAreForgottenAndBounded fills the memory of requests.
func TestRequestsAreForgottenAndBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	var all requests
	if err := all.add(&request{id: "first", state: "first", expires: now}, now); err != nil {
		t.Fatal(err)
	}
	now = now.Add(requestMemory)
	if err := all.add(&request{id: "second", state: "second", expires: now}, now); err != nil {
		t.Fatal(err)
	}
	if _, ok := all.find("first"); !ok {
		t.Error("a request is forgotten too early")
	}
	now = now.Add(time.Second)
	for len(all.order) < maxRequests {
		r := &request{id: "x", state: "x", expires: now}
		if err := all.add(r, now); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := all.find("first"); ok {
		t.Error("an old request is not forgotten")
	}
	if _, ok := all.findByState("first"); ok {
		t.Error("an old request's state is not forgotten")
	}
	if err := all.add(&request{id: "one more"}, now); err == nil {
		t.Error("there is no end to requests")
	}
}

// TestManyReadings reads one request more often than nonces are kept.
func TestManyReadings(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	r := &request{expires: now}
	if r.startAnswer(now) {
		t.Error("an answer is taken before anybody read the request")
	}
	for i := range maxNonces + 3 {
		nonce, ok := r.fetch(string(rune('a'+i)), now)
		if !ok || !r.knowsNonce(nonce) {
			t.Fatalf("reading %d: nonce %q, %v", i, nonce, ok)
		}
	}
	if len(r.nonces) != maxNonces {
		t.Errorf("%d nonces are kept, want %d", len(r.nonces), maxNonces)
	}
	if !r.startAnswer(now) || r.startAnswer(now) {
		t.Error("two answers are judged at once")
	}
	r.endAnswer(true)
	if _, ok := r.fetch("z", now); ok || r.startAnswer(now) {
		t.Error("a request goes on after its end")
	}
}
