// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// TestMisbehavingWalletIsRefused lets a wallet break one rule after the other. Each time the relying party must hear of
// an error, or a gate tested against this emulator would never see what a hostile wallet does.
func TestMisbehavingWalletIsRefused(t *testing.T) {
	t.Parallel()
	for _, method := range []emulator.DIDMethod{emulator.ION, emulator.JWK} {
		for _, misbehaviour := range emulator.Misbehaviours() {
			t.Run(string(method)+", "+string(misbehaviour), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, nil)
				wallet, err := w.e.NewWallet(emulator.WalletConfig{DIDMethod: method})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.e.IssueTo(wallet, "VerifiedIdentity", nil); err != nil {
					t.Fatal(err)
				}
				body := w.presentation("VerifiedIdentity", emulator.PartnerAuthority)
				if misbehaviour == emulator.OmitFaceCheck {
					faceCheck(body, "portrait", 70)
				}
				outcome := w.share(w.openIn(wallet, w.link(body)), emulator.ShareOptions{Misbehave: misbehaviour})
				if outcome.Accepted || outcome.Status != http.StatusBadRequest || outcome.Code != "tokenError" {
					t.Errorf("Share() = %+v, want tokenError", outcome)
				}
				last := w.relying.last(t)
				if text(last.body, "requestStatus") != "presentation_error" || text(last.body, "error", "code") != "tokenError" {
					t.Errorf("callback = %s, want presentation_error", last.raw)
				}
				if strings.Contains(string(last.raw), "did:ion:") || strings.Contains(string(last.raw), "did:jwk:") {
					t.Error("the error names the holder's DID")
				}
			})
		}
	}
}

// TestCardsThatDoNotFit presents cards that the request does not allow.
func TestCardsThatDoNotFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		card func(w *world) emulator.Card
		says string
	}{
		{"another type", func(w *world) emulator.Card {
			return w.issue(emulator.IssueOptions{Contract: "VerifiedIdentity"})
		}, "from an accepted issuer"},
		{"another issuer", func(w *world) emulator.Card {
			return w.issue(emulator.IssueOptions{Contract: mustContract(t, w, emulator.MalloryAuthority, "VerifiedEmployee").ID})
		}, "from an accepted issuer"},
		{"expired", func(w *world) emulator.Card {
			return w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee", ExpiresAt: w.clock.Now().Add(-time.Second)})
		}, "has expired"},
		{"not valid yet", func(w *world) emulator.Card {
			return w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee", IssuedAt: w.clock.Now().Add(time.Hour)})
		}, "not valid yet"},
		{"of another person", func(w *world) emulator.Card {
			other, err := w.e.NewWallet(emulator.WalletConfig{})
			if err != nil {
				t.Fatal(err)
			}
			card, err := w.e.IssueTo(other, "VerifiedEmployee", nil)
			if err != nil {
				t.Fatal(err)
			}
			w.e.Wallet().Add(card)
			return card
		}, "another holder"},
		{"of another emulator", func(w *world) emulator.Card {
			elsewhere := newWorld(t, nil)
			card := elsewhere.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
			w.e.Wallet().Add(card)
			return card
		}, "not valid"},
		{"rubbish", func(w *world) emulator.Card {
			card := emulator.Card{ID: "x", Type: "VerifiedEmployee", Issuer: emulator.DemoAuthority, Token: "a.b.c"}
			w.e.Wallet().Add(card)
			return card
		}, "not valid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			card := c.card(w)
			offer := w.open(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
			outcome := w.share(offer, emulator.ShareOptions{CardIDs: []string{card.ID}, Force: true})
			if outcome.Accepted || outcome.Code != "tokenError" || !strings.Contains(outcome.Message, c.says) {
				t.Errorf("Share() = %+v, want tokenError saying %q", outcome, c.says)
			}
			if got, want := w.relying.statuses(), "request_retrieved presentation_error"; got != want {
				t.Errorf("callbacks = %q, want %q", got, want)
			}
		})
	}
}

// TestExpiredCardComesLast keeps an expired card beside its renewal: the person is offered the one that works.
func TestExpiredCardComesLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	old := w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee", ExpiresAt: w.clock.Now().Add(-time.Hour)})
	fresh := w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	offer := w.open(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	if got := offer.Wanted[0].Matching; len(got) != 2 || got[0].ID != fresh.ID || got[1].ID != old.ID {
		t.Errorf("Matching = %v, want the fresh card first", got)
	}
	if outcome := w.share(offer, emulator.ShareOptions{}); !outcome.Accepted {
		t.Errorf("Share() = %+v, want accepted", outcome)
	}
}

// TestLinkedDomainMustConfirm presents a card of an issuer that claims Contoso's domain, which does not confirm it.
func TestLinkedDomainMustConfirm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.issue(emulator.IssueOptions{Contract: mustContract(t, w, emulator.MalloryAuthority, "VerifiedEmployee").ID})
	body := w.presentation("VerifiedEmployee", emulator.MalloryAuthority)
	outcome := w.share(w.open(body), emulator.ShareOptions{})
	if outcome.Accepted || !strings.Contains(outcome.Message, "linked domain") {
		t.Errorf("Share() = %+v, want refused for the linked domain", outcome)
	}
	put(body, false, "requestedCredentials", 0, "configuration", "validation", "validateLinkedDomain")
	if outcome := w.share(w.open(body), emulator.ShareOptions{}); !outcome.Accepted {
		t.Errorf("Share() without the check = %+v, want accepted", outcome)
	}
}

// TestWalletWarnsOfUnverifiedVerifier opens a request of a verifier whose domain does not confirm it.
func TestWalletWarnsOfUnverifiedVerifier(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	body := w.presentation("VerifiedEmployee", emulator.DemoAuthority)
	put(body, emulator.MalloryAuthority, "authority")
	token := w.token(emulator.MalloryTenant, emulator.MalloryClientID, emulator.MalloryClientSecret)
	status, answer := w.create("createPresentationRequest", token, body)
	if status != http.StatusCreated {
		t.Fatalf("answer = %d %v", status, answer)
	}
	offer := w.openIn(w.e.Wallet(), text(answer, "url"))
	if offer.DomainVerified || offer.Domain != "https://verifiedid.contoso.example/" || offer.VerifierDID != emulator.MalloryAuthority {
		t.Errorf("Open() = %+v, want an unverified domain", offer)
	}
}

// TestAnswerCannotBeReplayed posts a genuine answer twice, as somebody who recorded it would.
func TestAnswerCannotBeReplayed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	for _, misbehave := range []emulator.Misbehaviour{"", emulator.WrongAudience} {
		offer := w.open(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
		w.share(offer, emulator.ShareOptions{Misbehave: misbehave})
		before := w.relying.statuses()
		if outcome := w.share(offer, emulator.ShareOptions{}); outcome.Accepted || outcome.Status != http.StatusNotFound {
			t.Errorf("second Share() = %+v, want 404", outcome)
		}
		if got := w.relying.statuses(); got != before {
			t.Errorf("callbacks after the second Share() = %q, want none more than %q", got, before)
		}
	}
}

// TestStrangersAtVerifyPresentation posts to the endpoint of wallets without having opened a request.
func TestStrangersAtVerifyPresentation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	target := w.service + "/v1.0/verifiableCredentials/verifyPresentation"
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	status, answer := w.do(w.client, http.MethodPost, target, form, []byte(url.Values{"state": {"guess"}}.Encode()))
	checkError(t, status, answer, http.StatusBadRequest, "badRequest", "badOrMissingField", "state")
	if status, _ := w.do(w.client, http.MethodPost, target, form, []byte("state=%zz")); status != http.StatusBadRequest {
		t.Errorf("unreadable form = %d, want 400", status)
	}
	if status, _ := w.do(w.client, http.MethodPost, target, nil, nil); status != http.StatusUnsupportedMediaType {
		t.Errorf("no form = %d, want 415", status)
	}
	if len(w.relying.callbacks()) != 0 {
		t.Error("a stranger made the service call back")
	}
}

// TestBadLinks gives the wallet links it must not open.
func TestBadLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	good := w.link(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	uri := strings.TrimPrefix(good, "openid-vc://?request_uri=")
	evil := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(rw, r, uri, http.StatusFound)
		case "/html":
			_, _ = rw.Write([]byte("<html>"))
		case "/tampered":
			request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, uri, nil)
			if err != nil {
				t.Error(err)
				return
			}
			parts := strings.Split(w.fetch(request), ".")
			payload, err := base64.RawURLEncoding.DecodeString(parts[1])
			if err != nil {
				t.Error(err)
			}
			parts[1] = base64.RawURLEncoding.EncodeToString(bytes.Replace(payload, []byte("Contoso Payroll"), []byte("Your own bank"), 1))
			_, _ = rw.Write([]byte(strings.Join(parts, ".")))
		case "/nobody":
			encode := base64.RawURLEncoding.EncodeToString
			_, _ = rw.Write([]byte(encode([]byte(`{"alg":"ES256","kid":"did:web:nobody.example#k"}`)) + "." +
				encode([]byte(`{"client_id":"did:web:nobody.example"}`)) + "." + encode(make([]byte, 64))))
		default:
			rw.WriteHeader(http.StatusTeapot)
		}
	}))
	t.Cleanup(evil.Close)
	for link, want := range map[string]string{
		"":                                      "not a link",
		"https://a.example/?request_uri=" + uri: "not a link",
		"openid://x?request_uri=" + uri:         "not a link",
		uri:                                     "not a link",
		"openid-vc://":                          "no request_uri",
		"openid-vc://?request_uri=file:///etc":  "no request_uri",
		"openid-vc://?request_uri=https://a.example/x":                                                     "leaves this machine",
		"openid-vc://?request_uri=" + w.service + "/nothing":                                               "expired",
		"openid-vc://?request_uri=" + evil.URL + "/redirect":                                               "networking error",
		"openid-vc://?request_uri=" + evil.URL + "/teapot":                                                 "networking error",
		"openid-vc://?request_uri=" + evil.URL + "/tampered":                                               "signature does not verify",
		"openid-vc://?request_uri=" + evil.URL + "/nobody":                                                 "DID of the verifier is unknown",
		"openid-vc://?request_uri=" + evil.URL + "/html":                                                   "not acceptable",
		"openid-vc://?request=" + "eyJhbGciOiJub25lIn0.e30.c2ln":                                           "not acceptable",
		"openid-vc://?request_uri=" + strings.Replace(uri, emulator.DemoTenant, emulator.PartnerTenant, 1): "expired",
	} {
		if _, err := w.e.Wallet().Open(t.Context(), link); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q) = %v, want %q", link, err, want)
		}
	}
	for _, link := range []string{"  " + good + "\n", "openid://vc?request_uri=" + uri, "openid-vc://vc/?request_uri=" + url.QueryEscape(uri)} {
		if _, err := w.e.Wallet().Open(t.Context(), link); err != nil {
			t.Errorf("Open(%q) = %v, want it opened", link, err)
		}
	}
}

// TestStrangersAreKeptOut asks from another machine, and through a name that somebody else owns (DNS rebinding): a
// web page must not be able to drive the wallet or read cards.
func TestStrangersAreKeptOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	open := newWorld(t, func(c *emulator.Config) { c.AllowNonLoopback = true })
	for _, c := range []struct {
		remote, host string
		want         int
	}{
		{"127.0.0.1:1234", "localhost:8090", 200},
		{"[::1]:1234", "[::1]:8090", 200},
		{"127.0.0.1:1234", "verifiedid.contoso.example", 200},
		{"127.0.0.1:1234", "wallet.localhost", 200},
		{"192.0.2.7:1234", "localhost:8090", 403},
		{"127.0.0.1:1234", "attacker.com", 403},
		{"127.0.0.1:1234", "localhost.attacker.com", 403},
		{"rubbish", "localhost", 403},
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/domains/verifiedid.contoso.example/.well-known/did.json", nil)
		request.RemoteAddr, request.Host = c.remote, c.host
		answer := httptest.NewRecorder()
		w.e.ServiceHandler().ServeHTTP(answer, request)
		if answer.Code != c.want {
			t.Errorf("from %s to %s = %d, want %d", c.remote, c.host, answer.Code, c.want)
		}
		answer = httptest.NewRecorder()
		open.e.ServiceHandler().ServeHTTP(answer, request)
		if answer.Code != 200 {
			t.Errorf("from %s to %s with AllowNonLoopback = %d, want 200", c.remote, c.host, answer.Code)
		}
	}
}
