// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

const (
	whyAgain    = `.note`
	secondCard  = `section.choice:nth-of-type(2) form[action$="/request"] button`
	walletScore = `#score`
	notSent     = `a.button[href*="/.verified-id/start?v="]`
)

// ladder is a site with three doors: either card, a card of a certain kind with a sure face, and one of another kind.
var ladder = plan{
	app: "credential visitor {\n type VerifiedIdentity\n issuer " + emulator.PartnerAuthority + "\n face_check portrait 60\n display_name \"Visitor card\"\n}",
	site: `@pay path /pay/*
verified_id @pay employee {
	face_check 90
	require jobTitle "Head of Payroll" "Payroll Specialist"
	header X-Employee-Name {claim.displayName}
}
@guests path /guests/*
verified_id @guests visitor
verified_id employee visitor {
	header X-Employee-Name {claim.displayName}
}
reverse_proxy APP`,
}

// From door to door in one session: each asks for what is missing, says so, and leads back to where the visitor was going; what
// was shown before stays. A form on the way is held back and its page found again.
func TestLadder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ladder)
	w.issue("VerifiedIdentity")
	v := newVisitor(t)

	v.open(w.origin + "/app?x=1")
	v.see(secondCard)
	v.click(haveCard)
	w.share(w.scan(v), emulator.ShareOptions{FaceScore: 85})
	w.expectIn(v, "/app?x=1")

	v.open(w.origin + "/pay/ana?month=3")
	v.expectWhy("stronger face check")
	v.click(haveCard)
	w.share(w.scan(v), emulator.ShareOptions{FaceScore: 95})
	w.expectIn(v, "/pay/ana?month=3")

	v.open(w.origin + "/guests/list?tab=2")
	v.expectWhy("different card")
	v.click(haveCard)
	w.accept(w.scan(v))
	w.expectIn(v, "/guests/list?tab=2")
	for _, path := range []string{"/pay/ana?month=4", "/guests/list", "/app"} {
		v.open(w.origin + path)
		w.expectIn(v, path)
	}
}

func (v *visitor) expectWhy(words string) {
	v.t.Helper()
	if why := v.read(whyAgain); !strings.Contains(why, words) {
		v.t.Errorf("the page says %q, want %q", why, words)
	}
}

// A form goes to a door that asks for more than the page with the form did. It is not sent, the visitor is told, and ends on
// the page with the form.
func TestFormIsNotSentBeforeTheStepUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ladder)
	v := newVisitor(t)
	v.open(w.origin + "/app?form=1")
	v.click(haveCard)
	w.share(w.scan(v), emulator.ShareOptions{FaceScore: 85})
	v.see(inTheApp)

	evaluate[bool](v, `(() => {
		const form = document.createElement('form');
		form.method = 'post'; form.action = '/pay/now'; form.innerHTML = '<button id="pay">Pay</button>';
		document.body.append(form); return true;
	})()`)
	v.click("#pay")
	v.see(notSent)
	if text := v.read("main"); !strings.Contains(text, "not sent yet") {
		t.Errorf("the page says\n%s", text)
	}
	v.click(notSent)
	v.click(haveCard)
	w.share(w.scan(v), emulator.ShareOptions{FaceScore: 95})
	w.expectIn(v, "/app?form=1")
	for _, r := range w.app.seen() {
		if r.URL.Path == "/pay/now" {
			t.Errorf("%s %s reached the app", r.Method, r.URL)
		}
	}
}

// Ana leaves the computer and Ben shows his card in the same browser, of another kind even: the session is Ben's from then on,
// and has nothing of Ana's.
func TestAnotherHolderReplacesTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ladder)
	v := newVisitor(t)
	w.enter(v, "/app")
	ana := v.cookies()

	v.open(w.origin + "/guests/list")
	v.click(haveCard)
	wallet, err := w.emulator.NewWallet(emulator.WalletConfig{Name: "Ben"})
	if err != nil {
		t.Fatalf("making a wallet: %v", err)
	}
	if _, err := w.emulator.IssueTo(wallet, "VerifiedIdentity", nil); err != nil {
		t.Fatalf("issuing: %v", err)
	}
	anas := w.wallet
	w.wallet = wallet
	w.accept(w.scan(v))
	w.wallet = anas
	w.expectIn(v, "/guests/list")

	v.open(w.origin + "/pay/ana") // Ana's card would open it
	v.expectWhy("different card")
	if got, want := v.at(), w.origin+"/.verified-id/start"; !strings.HasPrefix(got, want) {
		t.Errorf("the visitor stands at %s, want %s", got, want)
	}
	// Nor does her own cookie open anything any more, wherever it was kept.
	other := newVisitor(t)
	other.setCookies(ana)
	other.open(w.origin + "/app")
	other.expectWhy("Your access was ended")
}

// The role that a route asks for is not on the card: the wallet says at once that no card fits, nothing is shared, and the page
// knows what that means. Who shares all the same is refused.
func TestWalletOffersOnlyCardsOfTheRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{gate: "require jobTitle Director"})
	v := newVisitor(t)
	v.open(w.origin + "/payroll")
	v.click(haveCard)
	offer := w.scan(v)
	if n := len(offer.Wanted[0].Matching); n != 0 {
		t.Errorf("the wallet offers %d cards, want none", n)
	}
	v.see(phoneHasIt)
	if help := evaluate[string](v, `document.querySelector('.aside details').textContent`); !strings.Contains(help, "certain people or roles") {
		t.Errorf("the page helps with %q", help)
	}
	forced := emulator.ShareOptions{CardIDs: []string{w.wallet.Cards()[0].ID}, Force: true}
	if outcome := w.share(offer, forced); outcome.Accepted {
		t.Errorf("the wallet says %+v", outcome)
	}
	v.see(refusedSign)
	w.expectNobodyIn()
}

// The examples that bind the card to another login, as they stand, in a browser: the login's person gets in with her card, and
// another person of the company does not, whatever they write into headers.
func TestBindExamples(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bind-basic-auth", "bind-forward-auth"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			origin := startExample(t, name)
			ana := newVisitor(t)
			wallet := ana.newTab()
			ana.logInWith("ana.lima@contoso.example", "ana")
			ana.open(origin["8080"] + "/march")
			ana.click(haveCard)
			ana.see(code)
			wallet.open(origin["8090"] + "/wallet")
			wallet.click(walletRequest)
			wallet.click(walletShare)
			ana.see(inTheApp)
			if got := ana.read(demoName); got != "ana.lima@contoso.example" {
				t.Errorf("the app greets %q", got)
			}

			ben := newVisitor(t)
			ben.setCookies(ana.cookies())
			ben.logInWith("ben.ode@contoso.example", "ben", "Remote-Email", "ana.lima@contoso.example", "X-Employee-Mail", "ana.lima@contoso.example")
			ben.open(origin["8080"] + "/march")
			ben.expectWhy("somebody else")
			ben.click(haveCard)
			ben.see(code)
			wallet.open(origin["8090"] + "/wallet")
			wallet.click(walletRequest)
			wallet.see("form")
			if offers := evaluate[bool](wallet, `document.querySelector('`+strings.ReplaceAll(walletShare, `'`, `\'`)+`') !== null`); offers {
				t.Error("the wallet offers Ana's card to Ben")
			}
		})
	}
}

// The ladder example, as it stands: two doors open with a face that is good enough for them, and the third one wants a better
// one, says so, and leads to where the visitor was going.
func TestLadderExample(t *testing.T) {
	t.Parallel()
	origin := startExample(t, "ladder")
	v := newVisitor(t)
	wallet := v.newTab()
	share := func(score string) {
		t.Helper()
		v.see(code)
		wallet.open(origin["8090"] + "/wallet")
		wallet.click(walletRequest)
		wallet.see(walletScore)
		evaluate[bool](wallet, `(document.querySelector('`+walletScore+`').value = '`+score+`') !== ''`)
		wallet.click(walletShare)
	}
	v.open(origin["8080"] + "/app?x=1")
	v.see(secondCard)
	v.click(haveCard)
	share("80")
	v.expectAsked("/app?x=1")
	v.open(origin["8080"] + "/payroll?month=3")
	v.expectAsked("/payroll?month=3")

	v.open(origin["8080"] + "/payroll/pay?to=ana")
	v.expectWhy("stronger face check")
	v.click(haveCard)
	share("95")
	v.expectAsked("/payroll/pay?to=ana")
}

// expectAsked checks that the app of an example was asked for the address.
func (v *visitor) expectAsked(address string) {
	v.t.Helper()
	if got := v.read(inTheApp); got != address {
		v.t.Errorf("the app was asked for %s, want %s", got, address)
	}
}
