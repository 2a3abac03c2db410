// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"strings"
	"testing"
	"time"
)

// TestForeignDomainLinks puts entries into did-configuration.json that must not count.
func TestForeignDomainLinks(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	o := openByHand(t, &now)
	partner, mallory := o.e.authorities[PartnerAuthority], o.e.authorities[MalloryAuthority]
	origin := partner.LinkedDomain
	for name, c := range map[string]struct {
		change func(*domainLink)
		signer *authority
		good   bool
	}{
		"genuine":                   {func(*domainLink) {}, partner, true},
		"without the slash":         {func(l *domainLink) { l.VC.Subject.Origin = strings.TrimSuffix(origin, "/") }, partner, true},
		"signed by another":         {func(*domainLink) {}, mallory, false},
		"about another DID":         {func(l *domainLink) { l.Sub = MalloryAuthority }, partner, false},
		"subject is another DID":    {func(l *domainLink) { l.VC.Subject.ID = MalloryAuthority }, partner, false},
		"by another DID":            {func(l *domainLink) { l.Iss = MalloryAuthority }, partner, false},
		"for another origin":        {func(l *domainLink) { l.VC.Subject.Origin = "https://other.example/" }, partner, false},
		"without TLS":               {func(l *domainLink) { l.VC.Subject.Origin = "http://www.fabrikam-idv.example/" }, partner, false},
		"another kind of statement": {func(l *domainLink) { l.VC.Type = []string{typeCredential} }, partner, false},
		"expired":                   {func(l *domainLink) { l.Exp = now.Add(-time.Second).Unix() }, partner, false},
		"not yet valid":             {func(l *domainLink) { l.Nbf = now.Add(time.Second).Unix() }, partner, false},
	} {
		link := o.e.linkOf(PartnerAuthority, origin)
		c.change(&link)
		token, err := c.signer.sign(link)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkDomainLink(partner.document(), origin, token, now); (err == nil) != c.good {
			t.Errorf("%s: checkDomainLink() = %v, want good %v", name, err, c.good)
		}
	}
	forged, err := signToken(mallory.keys[0].privateKey, PartnerAuthority+"#"+partner.keys[0].id, o.e.linkOf(PartnerAuthority, origin))
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"", "a.b.c", forged} {
		if err := checkDomainLink(partner.document(), origin, token, now); err == nil {
			t.Errorf("entry %.20q counts", token)
		}
	}
	unreadable := func(string) ([]byte, error) { return []byte("<html>"), nil }
	missing := func(string) ([]byte, error) { return nil, ErrExpired }
	for _, fetch := range []func(string) ([]byte, error){unreadable, missing} {
		if got, verified := linkedDomain(partner.document(), fetch, now); verified || got != origin {
			t.Errorf("linkedDomain() = %q, %v, want the claimed origin, not verified", got, verified)
		}
	}
}

// TestWalletChecksTheRequest alters a request object in the ways in which the wallet library refuses it.
func TestWalletChecksTheRequest(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	o := openByHand(t, &now)
	for name, change := range map[string]func(*requestObject){
		"response_type":        func(r *requestObject) { r.ResponseType = "code" },
		"response_mode":        func(r *requestObject) { r.ResponseMode = "direct_post" },
		"scope":                func(r *requestObject) { r.Scope = "" },
		"no did:ion":           func(r *requestObject) { r.Registration.SubjectTypes = []string{"did:jwk"} },
		"no ES256K for VPs":    func(r *requestObject) { r.Registration.VPFormats.JWTVP.Alg = []string{"ES256"} },
		"no ES256K for VCs":    func(r *requestObject) { r.Registration.VPFormats.JWTVC.Alg = nil },
		"no state":             func(r *requestObject) { r.State = "" },
		"no nonce":             func(r *requestObject) { r.Nonce = "" },
		"no exp":               func(r *requestObject) { r.Exp = 0 },
		"expired":              func(r *requestObject) { r.Exp = now.Add(-skew - time.Second).Unix() },
		"no redirect_uri":      func(r *requestObject) { r.RedirectURI = "" },
		"odd redirect_uri":     func(r *requestObject) { r.RedirectURI = "openid-vc://x" },
		"no definition":        func(r *requestObject) { r.Claims.VPToken = []byte(`{}`) },
		"empty definition":     func(r *requestObject) { r.Claims.VPToken = []byte(`[{"presentation_definition":{"id":"x"}}]`) },
		"definition is text":   func(r *requestObject) { r.Claims.VPToken = []byte(`"x"`) },
		"definitions are text": func(r *requestObject) { r.Claims.VPToken = []byte(`["x"]`) },
	} {
		object := o.offer.object
		change(&object)
		if _, err := checkObject(&object, now); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestPatterns turns constraints into patterns and back into words; texts of the verifier are no regular expressions.
func TestPatterns(t *testing.T) {
	t.Parallel()
	odd := []string{`a|b`, `c\d`, `(x)`, `^y$`, `z.*`, ``}
	if got := textsOf(anyOf(odd)); strings.Join(got, "\n") != strings.Join(odd, "\n") {
		t.Errorf("textsOf(anyOf(%q)) = %q", odd, got)
	}
	if got := textsOf(`did:.*`); len(got) != 1 || got[0] != `did:.*` {
		t.Errorf("textsOf() of a foreign pattern = %q, want it unchanged", got)
	}
	if (constraint{claim: "x", values: []string{""}}).met(map[string]string{"y": ""}) {
		t.Error("a claim that is missing meets a constraint for the empty text")
	}
	field := descriptorField{Path: []string{subjectPath + "x"}, Filter: &fieldFilter{Type: "string", Pattern: "("}}
	if field.fits(Card{Claims: map[string]string{"x": "("}}) {
		t.Error("a pattern that is none fits")
	}
}
