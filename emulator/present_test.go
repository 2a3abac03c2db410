// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	_ "image/png" // decodes the QR code
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

func TestPresentationIsVerifiedAndCalledBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	card := w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	offer := w.open(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	if offer.Kind != emulator.Presentation || offer.VerifierName != "Contoso Payroll" || offer.Purpose != "Confirm who you are" ||
		offer.VerifierDID != emulator.DemoAuthority || offer.Domain != "https://verifiedid.contoso.example/" || !offer.DomainVerified {
		t.Errorf("Open() = %+v, which is not what the verifier wrote", offer)
	}
	if outcome := w.share(offer, emulator.ShareOptions{}); !outcome.Accepted || outcome.RelyingPartyStatus != http.StatusOK {
		t.Fatalf("Share() = %+v, want accepted", outcome)
	}
	if got, want := w.relying.statuses(), "request_retrieved presentation_verified"; got != want {
		t.Fatalf("callbacks = %q, want %q", got, want)
	}
	first, last := w.relying.callbacks()[0], w.relying.last(t)
	for _, got := range []received{first, last} {
		if got.header.Get("Api-Key") != "key-1" || got.header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("callback headers = %v, want the key and JSON", got.header)
		}
		if text(got.body, "state") != "state-1" || text(got.body, "requestId") != text(last.body, "requestId") {
			t.Errorf("callback = %s, want state and request id", got.raw)
		}
	}
	if len(first.body) != 3 {
		t.Errorf("request_retrieved = %s, want three members", first.raw)
	}
	if text(last.body, "subject") != w.e.Wallet().DID() || !strings.HasPrefix(w.e.Wallet().DID(), "did:ion:") {
		t.Errorf("subject is not the wallet's did:ion")
	}
	entry := at(last.body, "verifiedCredentialsData", 0)
	for _, c := range []struct {
		want string
		path []any
	}{
		{emulator.DemoAuthority, []any{"issuer"}},
		{"VerifiableCredential", []any{"type", 0}},
		{"VerifiedEmployee", []any{"type", 1}},
		{"Ana Lima", []any{"claims", "displayName"}},
		{card.Claims["photo"], []any{"claims", "photo"}},
		{"VALID", []any{"credentialState", "revocationStatus"}},
		{"https://verifiedid.contoso.example/", []any{"domainValidation", "url"}},
		{"2026-01-15T10:00:00Z", []any{"issuanceDate"}},
		{"2026-07-14T10:00:00Z", []any{"expirationDate"}},
	} {
		if got := text(entry, c.path...); got != c.want {
			t.Errorf("callback %v = %.60q, want %.60q", c.path, got, c.want)
		}
	}
	if at(last.body, "receipt") != nil || at(entry, "faceCheck") != nil {
		t.Error("the callback holds a receipt or a Face Check that nobody asked for")
	}
}

func TestCreatedAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	body := w.presentation("VerifiedEmployee", emulator.DemoAuthority)
	status, answer := w.create("createPresentationRequest", w.demoToken(), body)
	id := text(answer, "requestId")
	want := fmt.Sprintf("openid-vc://?request_uri=%s/v1.0/%s/verifiableCredentials/presentationRequests/%s", w.service, emulator.DemoTenant, id)
	if status != http.StatusCreated || text(answer, "url") != want {
		t.Errorf("answer = %d %v, want 201 and url %s", status, answer, want)
	}
	if got, want := at(answer, "expiry"), float64(w.clock.Now().Add(300*time.Second).Unix()); got != want {
		t.Errorf("expiry = %v, want %v", got, want)
	}
	if len(answer) != 3 {
		t.Errorf("answer = %v, want no QR code unasked", answer)
	}

	put(body, true, "includeQRCode")
	_, answer = w.create("createPresentationRequest", w.demoToken(), body)
	if got := readQRCode(t, text(answer, "qrCode")); got != text(answer, "url") {
		t.Errorf("QR code reads %q, want %q", got, text(answer, "url"))
	}
}

// readQRCode reads a data URI as a phone's camera would.
func readQRCode(t *testing.T, uri string) string {
	t.Helper()
	encoded, ok := strings.CutPrefix(uri, "data:image/png;base64,")
	if !ok {
		t.Fatalf("qrCode = %.40q, want a PNG data URI", uri)
	}
	file, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	picture, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	// The reader finds no way through one straight picture in fifty; as people do with a phone, it is turned until it does.
	for range 4 {
		bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
		if err != nil {
			t.Fatal(err)
		}
		if result, err := qrcode.NewQRCodeReader().Decode(bitmap, nil); err == nil {
			return result.GetText()
		}
		picture = quarterTurn(picture)
	}
	t.Fatal("no code found, whichever way the picture is held")
	return ""
}

// quarterTurn turns a picture clockwise.
func quarterTurn(picture image.Image) image.Image {
	bounds := picture.Bounds()
	turned := image.NewGray(image.Rect(0, 0, bounds.Dy(), bounds.Dx()))
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			turned.Set(bounds.Dy()-1-y, x, picture.At(bounds.Min.X+x, bounds.Min.Y+y))
		}
	}
	return turned
}

func TestConstraintsFilterCards(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		constraint map[string]any
		want       bool
		words      string
	}{
		{"values", map[string]any{"claimName": "mail", "values": []any{"x@y.example", "ANA.LIMA@contoso.example"}}, true, "mail is x@y.example or ANA.LIMA@contoso.example"},
		{"values, whole", map[string]any{"claimName": "mail", "values": []any{"ana.lima"}}, false, "mail is ana.lima"},
		{"dot is no wildcard", map[string]any{"claimName": "mail", "values": []any{"ana-lima@contoso.example"}}, false, "mail is ana-lima@contoso.example"},
		{"contains", map[string]any{"claimName": "displayName", "contains": "lim"}, true, "displayName contains lim"},
		{"contains, not", map[string]any{"claimName": "displayName", "contains": "bob"}, false, "displayName contains bob"},
		{"startsWith", map[string]any{"claimName": "jobTitle", "startsWith": "payroll"}, true, "jobTitle begins with payroll"},
		{"startsWith, not", map[string]any{"claimName": "jobTitle", "startsWith": "Specialist"}, false, "jobTitle begins with Specialist"},
		{"claim is missing", map[string]any{"claimName": "nickname", "contains": "a"}, false, "nickname contains a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			card := w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
			body := w.presentation("VerifiedEmployee", emulator.DemoAuthority)
			put(body, []any{c.constraint}, "requestedCredentials", 0, "constraints")
			offer := w.open(body)
			wanted := offer.Wanted[0]
			if got := len(wanted.Matching) == 1; got != c.want {
				t.Errorf("card matches = %v, want %v", got, c.want)
			}
			if len(wanted.Constraints) != 1 || wanted.Constraints[0] != c.words {
				t.Errorf("constraints in words = %q, want %q", wanted.Constraints, c.words)
			}
			// A wallet that does not filter is found out.
			outcome := w.share(offer, emulator.ShareOptions{CardIDs: []string{card.ID}, Force: true})
			if outcome.Accepted != c.want {
				t.Errorf("Share() by force = %+v, want accepted %v", outcome, c.want)
			}
			if !c.want && outcome.Code != "claimValidationError" {
				t.Errorf("Share() = %+v, want claimValidationError", outcome)
			}
		})
	}
}

func TestTwoCardsAreBothNeeded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	body := w.presentation("VerifiedEmployee", emulator.DemoAuthority)
	second := w.presentation("VerifiedIdentity", emulator.PartnerAuthority)
	put(body, []any{at(body, "requestedCredentials", 0), at(faceCheck(second, "portrait", 70), "requestedCredentials", 0)}, "requestedCredentials")
	if _, err := w.open(body).Share(t.Context(), emulator.ShareOptions{}); err == nil {
		t.Fatal("Share() with one of two cards succeeds")
	}
	w.issue(emulator.IssueOptions{Contract: "VerifiedIdentity"})
	if outcome := w.share(w.open(body), emulator.ShareOptions{}); !outcome.Accepted {
		t.Fatalf("Share() = %+v, want accepted", outcome)
	}
	data := at(w.relying.last(t).body, "verifiedCredentialsData")
	if text(data, 0, "type", 1) != "VerifiedIdentity" || text(data, 1, "type", 1) != "VerifiedEmployee" {
		t.Errorf("verifiedCredentialsData = %v, want both cards in reverse order", data)
	}
	if at(data, 0, "faceCheck") == nil || at(data, 1, "faceCheck") != nil {
		t.Error("the Face Check stands at the wrong card")
	}
}

func TestAnyIssuerWhenNoneIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	mallory := mustContract(t, w, emulator.MalloryAuthority, "VerifiedEmployee")
	w.issue(emulator.IssueOptions{Contract: mallory.ID})
	body := w.presentation("VerifiedEmployee", "")
	for _, issuers := range []any{absent, []any{}} {
		put(body, issuers, "requestedCredentials", 0, "acceptedIssuers")
		put(body, absent, "requestedCredentials", 0, "configuration")
		if outcome := w.share(w.open(body), emulator.ShareOptions{}); !outcome.Accepted {
			t.Errorf("Share() = %+v, want accepted: without acceptedIssuers any issuer will do", outcome)
		}
		put(body, map[string]any{}, "requestedCredentials", 0, "configuration")
	}
	if at(w.relying.last(t).body, "verifiedCredentialsData", 0, "domainValidation") != nil {
		t.Error("domainValidation is given for a domain that does not verify")
	}
}

func mustContract(t *testing.T, w *world, issuer, cardType string) emulator.Contract {
	t.Helper()
	for _, c := range w.e.Contracts() {
		if c.Issuer == issuer && c.Type == cardType {
			return c
		}
	}
	t.Fatalf("no contract %s of %s", cardType, issuer)
	return emulator.Contract{}
}

func TestRevokedCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	card := w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	bystander := w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	if err := w.e.Revoke(card.ID); err != nil {
		t.Fatal(err)
	}
	if !w.e.Revoked(card.ID) || w.e.Revoked(bystander.ID) {
		t.Error("Revoked() does not tell the cards apart")
	}
	body := w.presentation("VerifiedEmployee", emulator.DemoAuthority)
	outcome := w.share(w.open(body), emulator.ShareOptions{CardIDs: []string{card.ID}})
	want := fmt.Sprintf("The presented verifiable credential with jti '%s' is revoked.", card.ID)
	last := w.relying.last(t).body
	if outcome.Accepted || text(last, "error", "code") != "tokenError" || text(last, "error", "message") != want {
		t.Errorf("outcome = %+v, callback error = %v, want %q", outcome, at(last, "error"), want)
	}
	if outcome := w.share(w.open(body), emulator.ShareOptions{CardIDs: []string{bystander.ID}}); !outcome.Accepted {
		t.Errorf("Share() of the card beside the revoked one = %+v, want accepted", outcome)
	}
	put(body, true, "requestedCredentials", 0, "configuration", "validation", "allowRevoked")
	if outcome := w.share(w.open(body), emulator.ShareOptions{CardIDs: []string{card.ID}}); !outcome.Accepted {
		t.Errorf("Share() with allowRevoked = %+v, want accepted", outcome)
	}
	if got := text(w.relying.last(t).body, "verifiedCredentialsData", 0, "credentialState", "revocationStatus"); got != "REVOKED" {
		t.Errorf("revocationStatus = %q, want REVOKED", got)
	}
	if err := w.e.Revoke("urn:pic:unknown"); err == nil {
		t.Error("Revoke() of an unknown card succeeds")
	}
}

func TestRequestEndsAfterFiveMinutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	link := w.link(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	w.clock.Advance(300 * time.Second)
	late := w.openIn(w.e.Wallet(), link)
	w.clock.Advance(time.Second)
	if _, err := w.e.Wallet().Open(t.Context(), link); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("Open() after the expiry = %v, want ErrExpired", err)
	}
	w.clock.Advance(119 * time.Second)
	if outcome := w.share(late, emulator.ShareOptions{}); !outcome.Accepted {
		t.Errorf("Share() two minutes after the expiry = %+v, want accepted", outcome)
	}

	link = w.link(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	late = w.openIn(w.e.Wallet(), link)
	w.clock.Advance(300*time.Second + 121*time.Second)
	if outcome := w.share(late, emulator.ShareOptions{}); outcome.Accepted || outcome.Status != http.StatusNotFound {
		t.Errorf("Share() long after the expiry = %+v, want 404", outcome)
	}
	if got, want := w.relying.statuses(), "request_retrieved presentation_verified request_retrieved"; got != want {
		t.Errorf("callbacks = %q, want %q", got, want)
	}
}

func TestScanningAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	link := w.link(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	first := w.openIn(w.e.Wallet(), link)
	w.openIn(w.e.Wallet(), link)
	if outcome := w.share(first, emulator.ShareOptions{}); !outcome.Accepted {
		t.Errorf("Share() of the first scan = %+v, want accepted", outcome)
	}
	if got, want := w.relying.statuses(), strings.Repeat("request_retrieved ", 2)+"presentation_verified"; got != want {
		t.Errorf("callbacks = %q, want %q", got, want)
	}
}

func TestDeclineTellsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	if err := w.open(w.presentation("VerifiedEmployee", emulator.DemoAuthority)).Decline(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := w.relying.statuses(), "request_retrieved"; got != want {
		t.Errorf("callbacks = %q, want %q", got, want)
	}
}

func TestRelyingPartyFailureIsSeenInTheWallet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	offer := w.open(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	w.relying.answer(http.StatusInternalServerError)
	outcome := w.share(offer, emulator.ShareOptions{})
	if outcome.Accepted || outcome.Status != http.StatusInternalServerError || outcome.RelyingPartyStatus != http.StatusInternalServerError {
		t.Errorf("Share() = %+v, want 500 on both sides", outcome)
	}
}
