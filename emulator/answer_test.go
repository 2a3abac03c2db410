// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"strings"
	"testing"
	"time"
)

// opened is a request that a wallet holds in its hands, with everything to answer it by hand.
type opened struct {
	e       *Emulator
	request *request
	offer   *Offer
	card    Card
}

// openByHand makes a presentation request and an offer for it without any HTTP.
func openByHand(t *testing.T, now *time.Time) opened {
	t.Helper()
	e, err := New(Config{
		PublicURL: "http://localhost:1", TokenURL: "https://localhost:2", Now: func() time.Time { return *now },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	card, err := e.IssueTo(e.Wallet(), "VerifiedIdentity", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &request{
		id: "id", kind: Presentation, authority: e.authorities[DemoAuthority], created: *now, expires: now.Add(time.Minute),
		state: "state", definitionID: "main", livenessID: "liveness", nonces: []string{"nonce", "older nonce"}, fetched: true,
		presentation: &presentationRequest{credentials: []requestedCredential{{
			credentialType: "VerifiedIdentity", acceptedIssuers: []string{PartnerAuthority},
			faceCheck: &FaceCheck{PhotoClaim: "portrait", Threshold: 70},
		}}},
	}
	object, err := e.presentationObject(r, "nonce")
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := checkObject(object, *now)
	if err != nil {
		t.Fatal(err)
	}
	o := &Offer{Kind: Presentation, wallet: e.Wallet(), object: *object, definitions: definitions}
	o.readWanted()
	return opened{e: e, request: r, offer: o, card: card}
}

// form answers with an id_token and presentations signed by different plans.
func (o opened) form(t *testing.T, id, vp *plan, spoil func(*idToken)) (string, []string) {
	t.Helper()
	liveness, err := o.offer.livenessFor([]Card{o.card}, ShareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var tokens []string
	for _, credentials := range [][]string{vp.spoilCards([]string{o.card.Token}), liveness} {
		token, err := vp.signVP(credentials)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	presented, err := rawJSON(o.offer.submissions())
	if err != nil {
		t.Fatal(err)
	}
	claims := idToken{
		Sub: id.did, Aud: id.audience, Iss: id.issuer, Nonce: id.idNonce,
		Iat: id.issued.Unix(), Exp: id.idExpires.Unix(), Presented: presented,
	}
	if spoil != nil {
		spoil(&claims)
	}
	token, err := id.sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	return token, tokens
}

// TestEachTokenIsCheckedByItself has one good token beside one bad one. A service that checks only one of the two would let
// these through: the id_token says who the holder is, the presentation that the cards are shown now and here.
func TestEachTokenIsCheckedByItself(t *testing.T) {
	t.Parallel()
	for _, misbehaviour := range []Misbehaviour{
		"", WrongAudience, StaleAnswer, ExpiredAnswer, OtherKey, OtherHolder, UnknownKeyID, DERSignature, AlgNone,
	} {
		for _, bad := range []string{"id_token", "vp_token"} {
			t.Run(string(misbehaviour)+" in "+bad, func(t *testing.T) {
				t.Parallel()
				now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
				o := openByHand(t, &now)
				id, vp := o.offer.plan(misbehaviour), o.offer.plan("")
				if bad == "vp_token" {
					id, vp = vp, id
				}
				token, tokens := o.form(t, id, vp, nil)
				_, failure := o.e.judgeAnswer(o.request, token, tokens)
				if (failure == nil) != (misbehaviour == "") {
					t.Errorf("judgeAnswer() = %+v", failure)
				}
				if failure != nil && misbehaviour != OtherHolder && !strings.HasPrefix(failure.Message, "The presentation is not valid: "+bad+":") {
					t.Errorf("judgeAnswer() = %+v, want it to name the %s", failure, bad)
				}
			})
		}
	}
}

// TestIDTokenClaims changes one claim of the id_token at a time, well signed.
func TestIDTokenClaims(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	o := openByHand(t, &now)
	set := func(raw string) func(*idToken) { return func(c *idToken) { c.Presented = []byte(raw) } }
	for name, spoil := range map[string]func(*idToken){
		"issuer":                    func(c *idToken) { c.Iss = "https://self-issued.me" },
		"nonce of nobody":           func(c *idToken) { c.Nonce = "guess" },
		"from the future":           func(c *idToken) { c.Iat = now.Add(skew + time.Second).Unix() },
		"holder is an organisation": func(c *idToken) { c.Sub = PartnerAuthority },
		"holder is somebody else":   func(c *idToken) { c.Sub = "did:jwk:e30" },
		"no submission":             set(`{}`),
		"no submissions":            set(`[]`),
		"one submission of two":     set(`{"presentation_submission":{"definition_id":"main"}}`),
		"twice the same":            set(`[{"presentation_submission":{"definition_id":"main"}},{"presentation_submission":{"definition_id":"main"}}]`),
		"of another request":        set(`[{"presentation_submission":{"definition_id":"main"}},{"presentation_submission":{"definition_id":"other"}}]`),
		"unreadable submission":     set(`"main"`),
		"unreadable submissions":    set(`["main"]`),
		"one too many":              set(`[{"presentation_submission":{"definition_id":"main"}},{"presentation_submission":{"definition_id":"liveness"}},{"presentation_submission":{"definition_id":"x"}}]`),
	} {
		token, tokens := o.form(t, o.offer.plan(""), o.offer.plan(""), spoil)
		if _, failure := o.e.judgeAnswer(o.request, token, tokens); failure == nil || !strings.HasPrefix(failure.Message, "The presentation is not valid: id_token:") {
			t.Errorf("%s: judgeAnswer() = %+v, want the id_token refused", name, failure)
		}
	}
	// An organisation that answers as if it were a person, with its own genuine key.
	partner := o.e.authorities[PartnerAuthority]
	organisation := o.offer.plan("")
	organisation.key, organisation.did, organisation.kid = partner.keys[0].privateKey, partner.DID, partner.DID+"#"+partner.keys[0].id
	genuine, _ := o.form(t, organisation, organisation, nil)
	if _, err := o.e.verifyIDToken(o.request, genuine); err == nil || !strings.Contains(err.Error(), "holder's DID") {
		t.Errorf("organisation as holder: verifyIDToken() = %v, want it refused", err)
	}
	// A nonce of an earlier reading of the same request is good.
	p := o.offer.plan("")
	p.idNonce, p.vpNonce = "older nonce", "older nonce"
	o.offer.object.Nonce = "older nonce"
	token, tokens := o.form(t, p, p, nil)
	if _, failure := o.e.judgeAnswer(o.request, token, tokens); failure != nil {
		t.Errorf("older nonce: judgeAnswer() = %+v, want it accepted", failure)
	}
}

// TestForgedFaceCheck passes off other things as the result of a Face Check.
func TestForgedFaceCheck(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	o := openByHand(t, &now)
	wallet := o.e.Wallet()
	genuine := livenessClaims{
		holder: wallet.did, nonce: "nonce", descriptor: "VerifiedIdentity-1", photoClaim: "portrait", cardID: o.card.ID, quality: "HIGH", score: 99,
	}
	for name, c := range map[string]struct {
		change func(*livenessClaims)
		signer *authority
		good   bool
	}{
		"genuine":                {nil, o.e.faceCheck, true},
		"of an earlier request":  {func(c *livenessClaims) { c.nonce = "earlier" }, o.e.faceCheck, false},
		"for another card":       {func(c *livenessClaims) { c.cardID = "urn:pic:other" }, o.e.faceCheck, false},
		"for another photo":      {func(c *livenessClaims) { c.photoClaim = "photo" }, o.e.faceCheck, false},
		"for another descriptor": {func(c *livenessClaims) { c.descriptor = "VerifiedEmployee-1" }, o.e.faceCheck, false},
		"of another person":      {func(c *livenessClaims) { c.holder = "did:jwk:e30" }, o.e.faceCheck, false},
		"signed by an issuer":    {nil, o.e.authorities[MalloryAuthority], false},
	} {
		claims := genuine
		if c.change != nil {
			c.change(&claims)
		}
		token, err := o.e.livenessBy(c.signer, claims)
		if err != nil {
			t.Fatal(err)
		}
		p := o.offer.plan("")
		var vps []string
		for _, credentials := range [][]string{{o.card.Token}, {token}} {
			vp, err := p.signVP(credentials)
			if err != nil {
				t.Fatal(err)
			}
			vps = append(vps, vp)
		}
		id, err := p.signID(o.offer.submissions())
		if err != nil {
			t.Fatal(err)
		}
		if _, failure := o.e.judgeAnswer(o.request, id, vps); (failure == nil) != c.good {
			t.Errorf("%s: judgeAnswer() = %+v, want good %v", name, failure, c.good)
		}
	}
}

// TestNotAPresentation signs other things in place of a presentation.
func TestNotAPresentation(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	o := openByHand(t, &now)
	p := o.offer.plan("")
	good := vpToken{
		Iss: p.did, Aud: p.audience, Nonce: "nonce", Iat: now.Unix(), Nbf: now.Unix(), Exp: now.Add(time.Hour).Unix(),
		VP: presentationBody{Type: []string{typePresentation}, Credentials: []string{o.card.Token}},
	}
	who := &idToken{Sub: p.did, Nonce: "nonce"}
	for name, change := range map[string]func(*vpToken){
		"another type":    func(v *vpToken) { v.VP.Type = []string{typeCredential} },
		"empty":           func(v *vpToken) { v.VP.Credentials = nil },
		"no cards inside": func(v *vpToken) { v.VP.Credentials = []string{"x"} },
		"from the future": func(v *vpToken) { v.Nbf = now.Add(time.Hour).Unix() },
	} {
		v := good
		change(&v)
		token, err := p.sign(v)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.e.verifyVPToken(o.request, who, token); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, token := range map[string]string{"rubbish": "a.b", "a card": o.card.Token} {
		if _, err := o.e.verifyVPToken(o.request, who, token); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := o.e.verifyIDToken(o.request, token); err == nil {
			t.Errorf("%s: accepted as id_token", name)
		}
	}
}

// TestMalformedCredentials lets an issuer sign what is no proper credential.
func TestMalformedCredentials(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	o := openByHand(t, &now)
	good := credential{
		JTI: "urn:pic:1", Iss: PartnerAuthority, Sub: "did:jwk:holder", Iat: now.Unix(), Nbf: now.Unix(), Exp: now.Add(time.Hour).Unix(),
		VC: credentialBody{Context: []string{contextCredentials}, Type: []string{typeCredential, "X"}},
	}
	partner := o.e.authorities[PartnerAuthority]
	for name, c := range map[string]struct {
		change func(*credential)
		signer *authority
		good   bool
	}{
		"good":              {func(*credential) {}, partner, true},
		"no expiry":         {func(c *credential) { c.Exp = 0 }, partner, true},
		"no id":             {func(c *credential) { c.JTI = "" }, partner, false},
		"no context":        {func(c *credential) { c.VC.Context = nil }, partner, false},
		"another context":   {func(c *credential) { c.VC.Context = []string{"https://www.w3.org/ns/credentials/v2"} }, partner, false},
		"no type":           {func(c *credential) { c.VC.Type = []string{"X"} }, partner, false},
		"signed by another": {func(*credential) {}, o.e.authorities[DemoAuthority], false},
		"unknown issuer":    {func(c *credential) { c.Iss = "did:web:unknown.example" }, partner, false},
		"issuer is a phone": {func(c *credential) { c.Iss = o.e.Wallet().did }, partner, false},
		"expired":           {func(c *credential) { c.Exp = now.Add(-time.Second).Unix() }, partner, false},
		"not yet valid":     {func(c *credential) { c.Nbf = now.Add(skew + time.Second).Unix() }, partner, false},
	} {
		card := good
		c.change(&card)
		token, err := c.signer.sign(card)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.e.verifyCredential(token, "did:jwk:holder"); (err == nil) != c.good {
			t.Errorf("%s: verifyCredential() = %v, want good %v", name, err, c.good)
		}
		if _, err := o.e.verifyCredential(token, "did:jwk:other"); err == nil {
			t.Errorf("%s: belongs to another holder as well", name)
		}
	}
}

// TestSelfIssuedCard lets a person issue a card to herself. Where a relying party names no issuers, the signature would be
// all that is left to check.
func TestSelfIssuedCard(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	o := openByHand(t, &now)
	phone, err := o.e.NewWallet(WalletConfig{DIDMethod: JWK})
	if err != nil {
		t.Fatal(err)
	}
	token, err := signToken(phone.key, phone.kid, credential{
		JTI: "urn:pic:1", Iss: phone.did, Sub: phone.did, Iat: now.Unix(), Nbf: now.Unix(),
		VC: credentialBody{Context: []string{contextCredentials}, Type: []string{typeCredential, "VerifiedEmployee"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.e.verifyCredential(token, phone.did); err == nil || !strings.Contains(err.Error(), "issuer is unknown") {
		t.Errorf("verifyCredential() = %v, want the issuer refused", err)
	}
}
