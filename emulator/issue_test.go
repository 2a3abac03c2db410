// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// issuance is the documented example of createIssuanceRequest, moved to the emulator's hosts.
func (w *world) issuance() map[string]any {
	w.t.Helper()
	contract, err := w.e.Contract("VerifiedIdentity")
	if err != nil {
		w.t.Fatal(err)
	}
	return w.issuanceOf(contract, map[string]any{"firstName": "Ana", "lastName": "Lima", "portrait": emulator.Portrait(3)})
}

func (w *world) issuanceOf(contract emulator.Contract, claims map[string]any) map[string]any {
	w.t.Helper()
	return map[string]any{
		"authority":    contract.Issuer,
		"registration": map[string]any{"clientName": "Fabrikam Identity Check"},
		"callback": map[string]any{
			"url": w.relying.url, "state": "state-2", "headers": map[string]any{"Authorization": "Bearer callback"},
		},
		"type": contract.Type, "manifest": w.e.ManifestURL(contract), "claims": claims,
	}
}

func (w *world) partnerToken() string {
	w.t.Helper()
	return w.token(emulator.PartnerTenant, emulator.PartnerClientID, emulator.PartnerClientSecret)
}

// offered creates an issuance request and opens it.
func (w *world) offered(body map[string]any) *emulator.Offer {
	w.t.Helper()
	status, answer := w.create("createIssuanceRequest", w.partnerToken(), body)
	if status != http.StatusCreated {
		w.t.Fatalf("createIssuanceRequest answered %d: %v", status, answer)
	}
	return w.openIn(w.e.Wallet(), text(answer, "url"))
}

func TestIssuance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	body := w.issuance()
	put(body, true, "includeQRCode")
	status, answer := w.create("createIssuanceRequest", w.partnerToken(), body)
	wantURL := "openid-vc://?request_uri=" + w.service + "/v1.0/" + emulator.PartnerTenant + "/verifiableCredentials/issuanceRequests/" + text(answer, "requestId")
	if status != http.StatusCreated || text(answer, "url") != wantURL || readQRCode(t, text(answer, "qrCode")) != wantURL {
		t.Fatalf("answer = %d %v, want 201 and %s", status, answer, wantURL)
	}
	offer := w.openIn(w.e.Wallet(), text(answer, "url"))
	if offer.Kind != emulator.Issuance || offer.Card == nil || offer.Card.Type != "VerifiedIdentity" || offer.Card.Issuer != emulator.PartnerAuthority ||
		offer.Card.PINLength != 0 || offer.Card.Display.Title != "Verified identity" || offer.Card.Display.LogoURL == "" || !offer.DomainVerified {
		t.Errorf("Open() = %+v, card %+v", offer, offer.Card)
	}
	card, err := offer.AcceptIssuance(t.Context(), "")
	if err != nil {
		t.Fatalf("AcceptIssuance() = %v", err)
	}
	if card.Claims["firstName"] != "Ana" || card.Claims["portrait"] != emulator.Portrait(3) || card.PhotoClaim != "portrait" ||
		card.Labels["firstName"] != "First name" || card.IssuerName != "Fabrikam Identity Check" ||
		!slices.Equal(card.ClaimOrder, []string{"firstName", "lastName", "portrait"}) {
		t.Errorf("card = %+v", card)
	}
	if got, want := card.ExpiresAt.Sub(card.IssuedAt), 90*24*time.Hour; got != want {
		t.Errorf("card is valid for %v, want %v", got, want)
	}
	if cards := w.e.Wallet().Cards(); len(cards) != 1 || cards[0].ID != card.ID {
		t.Errorf("the wallet holds %d cards, want the new one", len(cards))
	}
	if got, want := w.relying.statuses(), "request_retrieved issuance_successful"; got != want {
		t.Errorf("callbacks = %q, want %q", got, want)
	}
	last := w.relying.last(t)
	if len(last.body) != 3 || text(last.body, "state") != "state-2" || last.header.Get("Authorization") != "Bearer callback" {
		t.Errorf("callback = %s %v, want three members and the key", last.raw, last.header)
	}
	// The card works.
	if outcome := w.share(w.open(faceCheck(w.presentation("VerifiedIdentity", emulator.PartnerAuthority), "portrait", 90)), emulator.ShareOptions{}); !outcome.Accepted {
		t.Errorf("Share() of the new card = %+v, want accepted", outcome)
	}
	// Nothing is given twice.
	if _, err := offer.AcceptIssuance(t.Context(), ""); !errors.Is(err, emulator.ErrExpired) {
		t.Errorf("second AcceptIssuance() = %v, want ErrExpired", err)
	}
	if _, err := offer.Share(t.Context(), emulator.ShareOptions{}); !errors.Is(err, emulator.ErrWrongKind) {
		t.Errorf("Share() of a card offer = %v, want ErrWrongKind", err)
	}
}

func TestIssuanceExamples(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for name, pin := range map[string]string{"issuance-request": "483920", "issuance-request-pin-hashed": "483920"} {
		body := example(t, name)
		put(body, w.relying.url, "callback", "url")
		// Only the host is changed: tenant and contract are those of the default cast.
		put(body, strings.Replace(text(body, "manifest"), "https://verifiedid.did.msidentity.com", w.service, 1), "manifest")
		offer := w.offered(body)
		if offer.Card.PINLength != 6 {
			t.Errorf("%s: PIN of %d digits, want 6", name, offer.Card.PINLength)
		}
		if _, err := offer.AcceptIssuance(t.Context(), "000000"); !errors.Is(err, emulator.ErrWrongPIN) {
			t.Errorf("%s: AcceptIssuance() with a wrong PIN = %v, want ErrWrongPIN", name, err)
		}
		card, err := offer.AcceptIssuance(t.Context(), pin)
		if err != nil {
			t.Fatalf("%s: AcceptIssuance() = %v", name, err)
		}
		if want := time.Date(2026, 4, 15, 10, 0, 0, 0, time.UTC); text(body, "expirationDate") != "" && !card.ExpiresAt.Equal(want) {
			t.Errorf("%s: card expires %v, want %v", name, card.ExpiresAt, want)
		}
	}
}

func TestDecliningACardIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	if err := w.offered(w.issuance()).Decline(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := w.relying.last(t)
	if text(last.body, "requestStatus") != "issuance_error" || text(last.body, "error", "code") != "IssuanceFlowFailed" || text(last.body, "error", "message") != "user_canceled" {
		t.Errorf("callback = %s, want issuance_error user_canceled", last.raw)
	}
	if len(w.e.Wallet().Cards()) != 0 {
		t.Error("a declined card is in the wallet")
	}
}

// TestCardIsHandedOutOnce asks for the card again while the end of the issuance is not yet reported.
func TestCardIsHandedOutOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	offer := w.offered(w.issuance())
	w.e.Faults().Inject(emulator.APICompleteIssuance, emulator.Fault{Status: http.StatusServiceUnavailable, Times: 1})
	if _, err := offer.AcceptIssuance(t.Context(), ""); err == nil {
		t.Fatal("AcceptIssuance() hides that the report failed")
	}
	if _, err := offer.AcceptIssuance(t.Context(), ""); !errors.Is(err, emulator.ErrRefused) || !strings.Contains(err.Error(), "issued already") {
		t.Errorf("second AcceptIssuance() = %v, want ErrRefused", err)
	}
	if got := len(w.e.Wallet().Cards()); got != 1 {
		t.Errorf("the wallet holds %d cards, want 1", got)
	}
}

func TestIssuerFailureLeavesTheCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	offer := w.offered(w.issuance())
	w.relying.answer(http.StatusBadGateway)
	card, err := offer.AcceptIssuance(t.Context(), "")
	if err == nil || card.ID == "" || len(w.e.Wallet().Cards()) != 1 {
		t.Errorf("AcceptIssuance() = %v, %v, want the card and an error", card.ID, err)
	}
}

func TestIssuanceRequestMistakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.partnerToken()
	employee := mustContract(t, w, emulator.DemoAuthority, "VerifiedEmployee")
	pin := func(members map[string]any) any { return members }
	hash := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, c := range []struct {
		name   string
		path   []any
		value  any
		target string
		says   string
	}{
		{"authority of another tenant", []any{"authority"}, emulator.DemoAuthority, "authority", "valid authority DID"},
		{"type missing", []any{"type"}, absent, "type", "does not contain"},
		{"manifest missing", []any{"manifest"}, absent, "manifest", "does not contain"},
		{"manifestUrl", []any{"manifestUrl"}, "x", "manifestUrl", "use manifest"},
		{"manifest unreadable", []any{"manifest"}, "https://[", "manifest", "valid manifest URL"},
		{"manifest elsewhere", []any{"manifest"}, "https://verifiedid.did.msidentity.com/v1.0/tenants/x/verifiableCredentials/contracts/y/manifest", "manifest", "valid manifest URL"},
		{"manifest of another issuer", []any{"manifest"}, w.e.ManifestURL(employee), "manifest", "valid manifest URL"},
		{"claims is a list", []any{"claims"}, []any{}, "claims", "not map of strings"},
		{"claim is a number", []any{"claims", "firstName"}, 7, "claims", "not map of strings"},
		{"required claim missing", []any{"claims", "lastName"}, absent, "claims.lastName", "required claim `lastName`"},
		{"no claims", []any{"claims"}, absent, "claims.firstName", "required claim `firstName`"},
		{"unknown claim", []any{"claims", "nickname"}, "Nana", "claims.nickname", "not in the contract"},
		{"requestedCredentials", []any{"requestedCredentials"}, []any{}, "requestedCredentials", "not known"},
		{"preview", []any{"issuance"}, map[string]any{}, "issuance", "preview"},
		{"pin without value", []any{"pin"}, pin(map[string]any{"length": 4}), "pin.value", "does not contain"},
		{"pin too short", []any{"pin"}, pin(map[string]any{"value": "123", "length": 3}), "pin.length", "between 4 and 16"},
		{"pin too long", []any{"pin"}, pin(map[string]any{"value": "12345678901234567", "length": 17}), "pin.length", "between 4 and 16"},
		{"pin of another length", []any{"pin"}, pin(map[string]any{"value": "1234"}), "pin.value", "not 6 digits"},
		{"pin with letters", []any{"pin"}, pin(map[string]any{"value": "12a4", "length": 4}), "pin.value", "not 4 digits"},
		{"pin alphanumeric", []any{"pin"}, pin(map[string]any{"value": "1234", "length": 4, "type": "alphanumeric"}), "pin.type", "not numeric"},
		{"pin length as string", []any{"pin"}, pin(map[string]any{"value": "1234", "length": "4"}), "pin.length", "not integer"},
		{"pin hashed with md5", []any{"pin"}, pin(map[string]any{"value": hash, "salt": "s", "alg": "md5", "iterations": 1}), "pin.alg", "not sha256"},
		{"pin hashed twice", []any{"pin"}, pin(map[string]any{"value": hash, "salt": "s", "alg": "sha256", "iterations": 2}), "pin.iterations", "not 1"},
		{"pin hash is none", []any{"pin"}, pin(map[string]any{"value": "483920", "salt": "s", "alg": "sha256", "iterations": 1}), "pin.value", "SHA-256"},
		{"pin with unknown member", []any{"pin"}, pin(map[string]any{"value": "123456", "hint": "x"}), "pin.hint", "not known"},
		{"expiry unreadable", []any{"expirationDate"}, "tomorrow", "expirationDate", "not an ISO 8601 date"},
		{"expiry not in UTC", []any{"expirationDate"}, "2026-04-15T10:00:00+02:00", "expirationDate", "not an ISO 8601 date"},
		{"expiry in the past", []any{"expirationDate"}, "2026-01-15T09:59:59Z", "expirationDate", "in the past"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body := w.issuance()
			put(body, c.value, c.path...)
			status, answer := w.create("createIssuanceRequest", token, body)
			checkError(t, status, answer, http.StatusBadRequest, "badRequest", "badOrMissingField", c.target)
			if got := text(answer, "error", "innererror", "message"); !strings.Contains(got, c.says) {
				t.Errorf("message = %q, want it to say %q", got, c.says)
			}
		})
	}
}

// TestEmployeeCardsNeedClaimInjection issues a VerifiedEmployee, whose contract takes no claims from the caller
// unless the manifest URL says so, and whose validity cannot be changed.
func TestEmployeeCardsNeedClaimInjection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	body := w.issuance()
	manifest := w.e.ManifestURL(mustContract(t, w, emulator.DemoAuthority, "VerifiedEmployee"))
	put(body, emulator.DemoAuthority, "authority")
	put(body, map[string]any{"displayName": "Ana Lima", "revocationId": "ana.lima@contoso.example"}, "claims")
	put(body, manifest, "manifest")
	status, answer := w.create("createIssuanceRequest", w.demoToken(), body)
	checkError(t, status, answer, http.StatusBadRequest, "badRequest", "badOrMissingField", "claims")

	put(body, manifest+"?manifestType=claimInjection", "manifest")
	status, answer = w.create("createIssuanceRequest", w.demoToken(), body)
	if status != http.StatusCreated {
		t.Fatalf("answer = %d %v, want 201", status, answer)
	}
	if _, err := w.openIn(w.e.Wallet(), text(answer, "url")).AcceptIssuance(t.Context(), ""); err != nil {
		t.Errorf("AcceptIssuance() = %v", err)
	}

	put(body, "2026-04-15T10:00:00Z", "expirationDate")
	status, answer = w.create("createIssuanceRequest", w.demoToken(), body)
	checkError(t, status, answer, http.StatusBadRequest, "badRequest", "badOrMissingField", "expirationDate")
	if got, want := text(answer, "error", "innererror", "message"), "Expiration Date cannot be used when Validity Interval is not allowed to be overridden"; got != want {
		t.Errorf("message = %q, want %q", got, want)
	}
}

// TestStrangersAtTheIssuer posts what no honest wallet posts to the endpoints of issuance.
func TestStrangersAtTheIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	issue := w.service + "/v1.0/" + emulator.PartnerTenant + "/verifiableCredential/card/issue"
	complete := w.service + "/v1.0/verifiableCredentials/completeIssuance"
	w.offered(w.issuance())
	state := requestState(t, w)
	for name, c := range map[string]struct {
		target, body, says string
	}{
		"no token":              {issue, "hello", "3"},
		"another token":         {issue, offerToken(t, w), "did:ion"},
		"unreadable report":     {complete, "{", "not a valid JSON object"},
		"unknown state":         {complete, `{"code":"issuance_successful","state":"guess"}`, "state is not known"},
		"success without card":  {complete, `{"code":"issuance_successful","state":"` + state + `"}`, "No card was issued"},
		"unknown code":          {complete, `{"code":"issuance_maybe","state":"` + state + `"}`, "code is not known"},
		"answer of another API": {w.service + "/v1.0/verifiableCredentials/verifyPresentation", "", ""},
	} {
		status, answer := w.do(w.client, http.MethodPost, c.target, nil, []byte(c.body))
		if status < 400 || status > 499 || !strings.Contains(text(answer, "error", "innererror", "message"), c.says) {
			t.Errorf("%s: answer = %d %v, want it refused, saying %q", name, status, answer, c.says)
		}
	}
	if got := w.relying.statuses(); strings.Contains(got, "issuance") {
		t.Errorf("callbacks = %q, want no end of the issuance", got)
	}
}

// requestState reads the state out of the request object, as anybody who sees the link can.
func requestState(t *testing.T, w *world) string {
	t.Helper()
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(offerToken(t, w), claims); err != nil {
		t.Fatal(err)
	}
	return text(map[string]any(claims), "state")
}

// offerToken fetches the request object that was opened first again.
func offerToken(t *testing.T, w *world) string {
	t.Helper()
	all := w.e.RequestsTo(emulator.APIRequestObject)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.service+all[0].Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.fetch(request)
}

func TestManifestIsSignedByItsIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	contract, err := w.e.Contract("VerifiedIdentity")
	if err != nil {
		t.Fatal(err)
	}
	status, answer := w.do(w.client, http.MethodGet, w.e.ManifestURL(contract), nil, nil)
	if status != http.StatusOK {
		t.Fatalf("manifest = %d %v", status, answer)
	}
	claims := w.verify(t, text(answer, "token"), emulator.PartnerAuthority)
	want := example(t, "manifest-decoded")["payload"]
	// Compare with the worked example, member by member; times and hosts differ.
	for _, path := range [][]any{
		{"id"},
		{"iss"},
		{"display", "locale"},
		{"display", "card", "title"},
		{"display", "card", "issuedBy"},
		{"display", "consent", "title"},
		{"display", "claims", "vc.credentialSubject.portrait", "type"},
		{"input", "issuer"},
		{"input", "attestations", "idTokens", 0, "configuration"},
		{"input", "attestations", "idTokens", 0, "claims", 0, "claim"},
	} {
		if got, want := text(claims, path...), text(want, path...); got != want {
			t.Errorf("%v = %q, want %q", path, got, want)
		}
	}
	for _, member := range []any{"id", "display", "input", "iss", "iat"} {
		if at(claims, member) == nil {
			t.Errorf("manifest has no %v", member)
		}
	}
	for _, target := range []string{
		strings.Replace(w.e.ManifestURL(contract), emulator.PartnerTenant, emulator.DemoTenant, 1),
		strings.Replace(w.e.ManifestURL(contract), contract.ID, "00000000-0000-0000-0000-000000000000", 1),
	} {
		if status, _ := w.do(w.client, http.MethodGet, target, nil, nil); status != http.StatusNotFound {
			t.Errorf("GET %s = %d, want 404", target, status)
		}
	}
	if raw, err := json.Marshal(claims); err != nil || strings.Contains(string(raw), "null") {
		t.Errorf("manifest = %s, %v, want no null", raw, err)
	}
}
