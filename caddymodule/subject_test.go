// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// subjectApp names employees by their mail.
func subjectApp(options string) string {
	return strings.Replace(testApp(options), "face_check photo 80", "face_check photo 80\n subject_claim mail", 1)
}

// Ana has a new phone. The app must find her account again; and Ben, who is given Ana's old phone, must not. The subject is a
// keyed hash of what her employer calls her, tells nobody what that is, and the claim stays out of the session when nothing
// else asks for it. TM-015.
func TestSubjectOutlivesTheWallet(t *testing.T) {
	app, ctx := loadApp(t, subjectApp(""))
	g := loadGate(t, ctx, "verified_id")
	s := newService(t, app)
	subject := func(changes ...string) string {
		t.Helper()
		b := newBrowser(t, g)
		id := b.begin("/")
		requestID, state, key := s.last(t)
		callback(t, g, key, verified(requestID, state, changes...))
		b.finish(id)
		_, u := b.open("/")
		if u.hits != 1 {
			return ""
		}
		held, _ := g.site.openSession(requestWith(b), testNow)
		if len(held.Presentations[0].Claims) != 0 {
			t.Errorf("the session holds %v", held.Presentations[0].Claims)
		}
		return u.seen.Header.Get("X-Verified-Id-Subject")
	}
	ana := subject()
	if ana == "" || strings.Contains(ana, "ana") || subject("did:ion:ana", "did:ion:new-phone") != ana {
		t.Errorf("Ana is %q, and somebody else with a new phone", ana)
	}
	if ben := subject("ana@contoso.example", "ben@contoso.example"); ben == "" || ben == ana {
		t.Errorf("Ben with Ana's wallet is %q, Ana %q", ben, ana)
	}
	if nobody := subject(`"mail":"ana@contoso.example",`, ""); nobody != "" {
		t.Errorf("a card without the claim got in as %q", nobody)
	}
}

// A session holds the cards of one person. Ana presents a card that names her by her mail, Ben one at the same browser that
// names him by his wallet, which is Ana's old one. Where names are made in two ways nothing tells who is who, so the earlier
// card goes. TM-015, TM-033.
func TestCardsNamedInTwoWaysAreNotCombined(t *testing.T) {
	_, ctx := loadApp(t, subjectApp("credential guest {\n type Guest\n issuer "+testIssuer+"\n face_check off\n}"))
	g := loadGate(t, ctx, "verified_id employee guest")
	card := func(credential, subject string) *verifier.Transaction {
		p := presentation(g)
		p.Credential, p.Subject = credential, subject
		return &verifier.Transaction{Presentation: &p, ConsumedAt: testNow}
	}
	first := g.site.newSession("first", card("employee", "claim:of ana"), nil)
	if second := g.site.newSession("second", card("guest", "did:ion:ana"), first); len(second.Presentations) != 1 || second.Subject == first.Subject {
		t.Errorf("the session has %d cards of %q, want the second one only", len(second.Presentations), second.Subject)
	}
	if second := g.site.newSession("second", card("guest", "claim:of ana"), first); len(second.Presentations) != 2 {
		t.Errorf("the session of one person has %d cards, want both", len(second.Presentations))
	}
}

// The operator changes how people are named and reloads. A session made before has the old name, under which the app knows
// somebody else or nobody; it must present again. TM-015, TM-022.
func TestOldNamesEndWithTheirPolicy(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	before := loadGate(t, ctx, "verified_id")
	p := presentation(before)
	_, ctx = loadApp(t, subjectApp(""))
	after := loadGate(t, ctx, "verified_id")
	if reason := after.wants[0].requirement.Meets(&p, 0, testNow); reason != verifier.ReasonPolicyChanged {
		t.Errorf("a session with the old name: %q, want %s", reason, verifier.ReasonPolicyChanged)
	}
}
