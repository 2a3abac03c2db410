// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// gateReasons are the words with which a gate refuses a request that brings no answer of a wallet.
var gateReasons = []verifier.Reason{
	noSession, sessionExpired, sessionRevoked, bindMissing, bindMismatch, outsideNetwork,
	verifier.ReasonOtherCredential, verifier.ReasonWrongType, verifier.ReasonWrongIssuer, verifier.ReasonRevoked,
	verifier.ReasonCredentialExpired, verifier.ReasonCredentialTooOld, verifier.ReasonFaceCheckMissing, verifier.ReasonFaceCheckLow,
	verifier.ReasonPresentationFuture, verifier.ReasonPresentationTooOld, verifier.ReasonRequiredClaim, verifier.ReasonPolicyChanged,
}

// askAPI asks as an app's script does and takes the answer apart.
func askAPI(t *testing.T, b *browser, path string) (problem, http.Header) {
	t.Helper()
	w, u := b.send("GET", path, nil, http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Site": {"same-origin"}})
	if w.Code != http.StatusUnauthorized || u.hits != 0 {
		t.Fatalf("GET %s: status %d with %d hits", path, w.Code, u.hits)
	}
	var p problem
	decoder := json.NewDecoder(w.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return p, w.Header()
}

// An app is told what is missing, where it is to be had, and which cards will do.
func TestScriptIsToldWhatIsMissing(t *testing.T) {
	_, g, _ := journeyGate(t, "", "verified_id employee {\n\tmax_age 10m\n}")
	p, header := askAPI(t, newBrowser(t, g), "/api/pay?a=1")
	if p.Type != "urn:caddy-verified-id:verification-required" || p.Reason != "no_session" || p.Status != 401 || p.MaxAge != 600 ||
		p.ReturnTo != "/" || !strings.HasPrefix(p.Start, basePath+"/start?v=") || p.Title == "" || p.Detail == "" {
		t.Errorf("problem = %+v", p)
	}
	if len(p.Credentials) != 1 || p.Credentials[0].Name != "employee" || p.Credentials[0].DisplayName == "" {
		t.Errorf("credentials = %+v", p.Credentials)
	}
	if got, want := header.Get("Www-Authenticate"), `VerifiedID realm="`+testOrigin+`", max_age="600"`; got != want {
		t.Errorf("WWW-Authenticate = %s, want %s", got, want)
	}
}

// A program that knows RFC 9470 understands that somebody is signed in and has to prove more.
func TestStepUpIsToldInWordsOfRFC9470(t *testing.T) {
	_, g, _ := journeyGate(t, "", "verified_id employee {\n\tmax_age 10m\n}")
	for reason, want := range map[verifier.Reason]bool{
		noSession: false, bindMissing: false, bindMismatch: true, verifier.ReasonPresentationTooOld: true, verifier.ReasonFaceCheckLow: true,
	} {
		if got := strings.Contains(g.authenticate(reason), `, error="insufficient_user_authentication", max_age="600"`); got != want {
			t.Errorf("%s: step-up %v, want %v: %s", reason, got, want, g.authenticate(reason))
		}
	}
}

// Where the other login is missing, a card proves nothing yet, and an app must not open a window for it.
func TestProblemWithoutLoginNamesNoStart(t *testing.T) {
	_, g, _ := journeyGate(t, "", "verified_id employee {\n\tbind mail {http.auth.user.id}\n}")
	if p := g.problem(bindMissing); p.Start != "" || p.ReturnTo != "" || p.Type != problemPrefix+"login-required" {
		t.Errorf("problem = %+v", p)
	}
}

// Apps are written against the page that describes the answer.
func TestProblemsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/single-page-apps.md")
	if err != nil {
		t.Fatal(err)
	}
	_, g, _ := journeyGate(t, "", "verified_id employee")
	for _, reason := range gateReasons {
		p := g.problem(reason)
		row := "| `" + strings.TrimPrefix(p.Type, "urn:caddy-verified-id:") + "` |"
		_, rest, found := strings.Cut(string(page), row)
		line, _, _ := strings.Cut(rest, "\n")
		if !found || !strings.Contains(line, "`"+p.Reason+"`") {
			t.Errorf("no row %s names %s", row, p.Reason)
		}
		nobody := reason == noSession || reason == sessionExpired || reason == sessionRevoked
		if (p.Type == problemPrefix+verificationRequired.name) != nobody {
			t.Errorf("%s is told as %s", reason, p.Type)
		}
	}
}
