// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// Another login stands before the gate, and would ask Microsoft to log in as well: the callback goes around it.
func TestCallbackGoesAroundAnotherLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{app: "public_url ORIGIN", site: "verified_id_callback\n" + companyLogin + "GATE\nreverse_proxy APP"})
	v := newVisitor(t)
	v.logIn("Ana")
	w.enter(v, "/payroll")
	w.expectIn(v, "/payroll")
}

// A company login says that the visitor is Ben; the card on the phone is Ana's. Neither alone opens what is bound to both.
func TestCardOfAnotherPersonThanTheLoginIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{
		app: "public_url ORIGIN", site: "verified_id_callback\n" + companyLogin + "GATE\nreverse_proxy APP",
		gate: "bind givenName {http.auth.user.id}",
	})
	ben := newVisitor(t)
	ben.logIn("Ben")
	ben.open(w.origin + "/payroll")
	ben.click(haveCard)
	offer := w.scan(ben)
	anas := w.wallet.Cards()[0].ID
	if outcome := w.share(offer, emulator.ShareOptions{CardIDs: []string{anas}, Force: true}); outcome.Accepted {
		t.Errorf("the wallet says %+v", outcome)
	}
	ben.expectRefusal("what the card says does not fit", "your own, right card")
	ben.open(w.origin + "/payroll")
	ben.see(haveCard)
	w.expectNobodyIn()

	ana := newVisitor(t)
	ana.logIn("Ana")
	w.enter(ana, "/payroll")
	w.expectIn(ana, "/payroll")

	// Ana's session in Ben's browser is Ana's, and Ben is logged in as Ben.
	ben.setCookies(ana.cookies())
	ben.open(w.origin + "/payroll?as=ana")
	ben.see(haveCard)
}

// Another login stands before the gate and refuses; the operator's error route then asks the app for a nice page, and a
// stranger's headers would travel along, past the gate that never ran.
func TestForgedIdentityHeadersDoNotArriveByErrorRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{
		site: companyLogin + "GATE\nreverse_proxy APP\nhandle_errors {\n\tverified_id_strip\n\treverse_proxy APP\n}",
	})
	v := newVisitor(t)
	v.open(w.origin + "/payroll")
	v.see(inTheApp)
	status := evaluate[int](v, `fetch('/payroll', {headers: {
		'X-Employee-Name': 'Mallory', 'X_Employee_Name': 'Mallory', 'X-Verified-Id-Subject': 'Mallory',
	}}).then(answer => answer.status)`)
	if status != http.StatusOK {
		t.Errorf("the error route answered %d", status)
	}
	w.expectNoHeader("Mallory")
}

// companyLogin knows Ana and Ben; both have the same password.
const (
	companyPassword = "a company password"
	companyHash     = "$2a$04$yT/Lo/buv3JWz6FsN8wnZORDBBwfJjTrtz02KcP38FpLbXFtb5C.S"
	companyLogin    = "basic_auth {\n\tAna " + companyHash + "\n\tBen " + companyHash + "\n}\n"
)

// logIn logs the visitor in at the company login, from now on.
func (v *visitor) logIn(name string) {
	v.t.Helper()
	v.logInWith(name, companyPassword)
}

// logInWith logs the visitor in with a password, and adds headers, as pairs of name and value, to what the browser sends.
func (v *visitor) logInWith(name, password string, more ...string) {
	v.t.Helper()
	headers := network.Headers{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))}
	for i := 0; i+1 < len(more); i += 2 {
		headers[more[i]] = more[i+1]
	}
	v.do("logging in", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: headers})
		return err
	}))
}
