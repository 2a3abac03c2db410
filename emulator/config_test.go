// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"bytes"
	"context"
	"errors"
	"image/jpeg"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// TestConfigMistakes starts the emulator with configurations that could be a production's, or cannot work.
func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	authority := func(a emulator.Authority) func(*emulator.Config) {
		return func(c *emulator.Config) { c.Authorities = []emulator.Authority{a} }
	}
	contract := func(one ...emulator.Contract) func(*emulator.Config) {
		return func(c *emulator.Config) { c.Contracts = one }
	}
	client := func(one emulator.Client) func(*emulator.Config) {
		return func(c *emulator.Config) { c.Clients = []emulator.Client{one} }
	}
	for _, c := range []struct {
		name   string
		change func(*emulator.Config)
		says   string
	}{
		{"no public URL", func(c *emulator.Config) { c.PublicURL = "" }, "PublicURL"},
		{"public URL with a path", func(c *emulator.Config) { c.PublicURL = "http://localhost/emulator" }, "not an origin"},
		{"public URL of another machine", func(c *emulator.Config) { c.PublicURL = "http://id.example:8090" }, "AllowNonLoopback"},
		{"token URL without TLS", func(c *emulator.Config) { c.TokenURL = "http://localhost:8091" }, "scheme https"},
		{"token URL of another machine", func(c *emulator.Config) { c.TokenURL = "https://id.example:8091" }, "AllowNonLoopback"},
		{"the real token URL", func(c *emulator.Config) {
			c.AllowNonLoopback = true
			c.TokenURL = "https://login.microsoftonline.com"
		}, "the real service's"},
		{"the real service", func(c *emulator.Config) {
			c.AllowNonLoopback = true
			c.PublicURL = "https://VerifiedID.did.msidentity.com."
		}, "the real service's"},
		{"tenant is no GUID", func(c *emulator.Config) { c.Tenant = "contoso" }, "not a GUID"},
		{"tenant domain is real", func(c *emulator.Config) { c.TenantDomain = "contoso.onmicrosoft.com" }, "could be a real one"},
		{"negative lifetime", func(c *emulator.Config) { c.RequestLifetime = -1 }, "a second or more"},
		{"no authorities", func(c *emulator.Config) { c.Authorities = []emulator.Authority{} }, "no authority"},
		{"real DID", authority(emulator.Authority{DID: "did:web:verifiedid.contoso.com"}), "could be a real one"},
		{"real DID at Microsoft's host", authority(emulator.Authority{DID: "did:web:verifiedid.entra.microsoft.com:a:b"}), "could be a real one"},
		{"real DID that looks reserved", authority(emulator.Authority{DID: "did:web:example.com.attacker.net"}), "could be a real one"},
		{"another method", authority(emulator.Authority{DID: "did:ion:EiA"}), "not a did:web"},
		{"DID with a fragment", authority(emulator.Authority{DID: "did:web:a.example#key"}), "not a did:web"},
		{"real linked domain", authority(emulator.Authority{DID: "did:web:a.example", LinkedDomain: "https://contoso.com"}), "could be a real one"},
		{"linked domain without TLS", authority(emulator.Authority{DID: "did:web:a.example", LinkedDomain: "http://a.example"}), "linked domain"},
		{"unknown key", authority(emulator.Authority{DID: "did:web:a.example", KeyAlg: "RSA"}), "key algorithm"},
		{"the Face Check's DID", authority(emulator.Authority{DID: emulator.FaceCheckAuthority}), "Face Check's own DID"},
		{"authority twice", func(c *emulator.Config) {
			c.Authorities = []emulator.Authority{{DID: "did:web:a.example"}, {DID: "did:web:a.example"}}
		}, "configured twice"},
		{"contract without type", contract(emulator.Contract{Issuer: emulator.DemoAuthority}), "no type"},
		{"contract of a stranger", contract(emulator.Contract{Type: "X", Issuer: "did:web:other.example"}), "not an authority"},
		{"contract twice", contract(
			emulator.Contract{Type: "X", Issuer: emulator.DemoAuthority}, emulator.Contract{Type: "X", Issuer: emulator.DemoAuthority},
		), "configured twice"},
		{"claim without name", contract(emulator.Contract{Type: "X", Issuer: emulator.DemoAuthority, Claims: []emulator.ClaimRule{{}}}), "no name"},
		{"two indexed claims", contract(emulator.Contract{
			Type: "X", Issuer: emulator.DemoAuthority, Claims: []emulator.ClaimRule{{Name: "a", Indexed: true}, {Name: "b", Indexed: true}},
		}), "more than one claim is indexed"},
		{"photo claim missing", contract(emulator.Contract{Type: "X", Issuer: emulator.DemoAuthority, PhotoClaim: "photo"}), "photo claim"},
		{"client without id", client(emulator.Client{Secret: "s"}), "no id"},
		{"certificate unreadable", client(emulator.Client{ID: "c", CertificatePEM: []byte("x")}), "no certificate"},
		{"certificate is only a key", client(emulator.Client{ID: "c", CertificatePEM: []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")}), "no certificate"},
		{"certificate is cut off", client(emulator.Client{ID: "c", CertificatePEM: []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}), "reading CertificatePEM"},
		{"federated key missing", client(emulator.Client{ID: "c", Federated: []emulator.FederatedIdentity{{Issuer: "x"}}}), "no key"},
	} {
		cfg := emulator.Config{PublicURL: "http://localhost:8090", TokenURL: "https://localhost:8091"}
		c.change(&cfg)
		if _, err := emulator.New(cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: New() = %v, want an error saying %q", c.name, err, c.says)
		}
	}
}

func TestOwnCast(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *emulator.Config) {
		c.AllowNonLoopback = true
		c.Tenant, c.TenantDomain = "11111111-2222-4333-8444-555555555555", "city.test"
		c.Clients = []emulator.Client{{ID: "app", Secret: "s"}}
		c.Authorities = []emulator.Authority{{DID: "did:web:id.city.test:library", Name: "City", DomainVerified: true, KeyAlg: emulator.P256K}}
		c.Contracts = []emulator.Contract{{
			Type: "LibraryCard", Issuer: "did:web:id.city.test:library",
			Claims: []emulator.ClaimRule{{Name: "number", Output: "cardNumber", Label: "Card number"}},
		}}
	})
	contract, err := w.e.Contract("LibraryCard")
	if err != nil {
		t.Fatal(err)
	}
	if contract.ID == "" || contract.Display.Title != "LibraryCard" || contract.Validity == 0 {
		t.Errorf("Contract() = %+v, want defaults filled in", contract)
	}
	token := w.token("city.test", "app", "s")
	body := w.issuanceOf(contract, map[string]any{"number": "42"})
	status, answer := w.create("createIssuanceRequest", token, body)
	if status != http.StatusCreated {
		t.Fatalf("answer = %d %v", status, answer)
	}
	card, err := w.openIn(w.e.Wallet(), text(answer, "url")).AcceptIssuance(t.Context(), "")
	if err != nil || card.Claims["cardNumber"] != "42" || card.Labels["cardNumber"] != "Card number" {
		t.Fatalf("AcceptIssuance() = %+v, %v", card, err)
	}
	present := w.presentation("LibraryCard", contract.Issuer)
	put(present, contract.Issuer, "authority")
	if status, answer = w.create("createPresentationRequest", token, present); status != http.StatusCreated {
		t.Fatalf("answer = %d %v", status, answer)
	}
	if outcome := w.share(w.openIn(w.e.Wallet(), text(answer, "url")), emulator.ShareOptions{}); !outcome.Accepted {
		t.Errorf("Share() = %+v, want accepted", outcome)
	}
	if _, err := w.e.IssueTo(w.e.Wallet(), "Nothing", nil); !errors.Is(err, emulator.ErrUnknownContract) {
		t.Errorf("IssueTo() of an unknown contract = %v, want ErrUnknownContract", err)
	}
	if got := w.e.Clients(); len(got) != 1 || got[0].Tenant != "11111111-2222-4333-8444-555555555555" {
		t.Errorf("Clients() = %+v", got)
	}
	if got := w.e.Authorities(); len(got) != 1 || got[0].LinkedDomain != "https://id.city.test/" {
		t.Errorf("Authorities() = %+v", got)
	}
}

func TestWalletHoldsCards(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	wallet := w.e.Wallet()
	if err := w.e.IssueDemoCards(wallet); err != nil {
		t.Fatal(err)
	}
	cards := wallet.Cards()
	if len(cards) != 2 || wallet.Name() != "Ana Lima" {
		t.Fatalf("wallet of %s holds %d cards, want 2", wallet.Name(), len(cards))
	}
	if got, ok := wallet.Card(cards[0].ID); !ok || got.Type != "VerifiedEmployee" {
		t.Errorf("Card() = %+v, %v", got, ok)
	}
	wallet.Add(cards[0])
	if !wallet.Remove(cards[0].ID) || wallet.Remove(cards[0].ID) || len(wallet.Cards()) != 1 {
		t.Error("Remove() does not take out one card once")
	}
	if _, ok := wallet.Card(cards[0].ID); ok {
		t.Error("Card() returns a card that was removed")
	}
	offer := w.open(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	for _, opts := range []emulator.ShareOptions{{}, {CardIDs: []string{cards[1].ID}}} {
		if _, err := offer.Share(t.Context(), opts); !errors.Is(err, emulator.ErrNoMatchingCard) {
			t.Errorf("Share(%v) = %v, want ErrNoMatchingCard", opts.CardIDs, err)
		}
	}
	if _, err := offer.Share(t.Context(), emulator.ShareOptions{CardIDs: []string{"x"}}); !errors.Is(err, emulator.ErrUnknownCard) {
		t.Errorf("Share() of an unknown card = %v, want ErrUnknownCard", err)
	}
	if _, err := offer.AcceptIssuance(t.Context(), ""); !errors.Is(err, emulator.ErrWrongKind) {
		t.Errorf("AcceptIssuance() of a presentation = %v, want ErrWrongKind", err)
	}
	if len(w.e.RequestsTo(emulator.APIVerifyPresentation)) != 0 {
		t.Error("something was sent all the same")
	}
}

func TestPortrait(t *testing.T) {
	t.Parallel()
	claim := emulator.Portrait(1)
	if !strings.HasPrefix(claim, "%2F9j%2F") || claim == emulator.Portrait(2) || claim != emulator.Portrait(1) {
		t.Errorf("Portrait() begins with %.8q; it must be a JPEG that depends on the seed only", claim)
	}
	plain, err := url.PathUnescape(claim)
	if err != nil {
		t.Fatal(err)
	}
	urlSafe := strings.NewReplacer("+", "-", "/", "_").Replace(plain)
	for _, spelling := range []string{claim, plain, strings.TrimRight(plain, "="), urlSafe, strings.TrimRight(urlSafe, "=")} {
		file, err := emulator.DecodePhoto(spelling)
		if err != nil {
			t.Fatalf("DecodePhoto(%.12q…) = %v", spelling, err)
		}
		picture, err := jpeg.Decode(bytes.NewReader(file))
		if err != nil || picture.Bounds().Dx() < 200 || picture.Bounds().Dy() < 200 || len(file) < 1024 {
			t.Errorf("picture = %v of %d bytes, %v; Face Check needs 200 × 200 pixels", picture.Bounds(), len(file), err)
		}
	}
	if _, err := emulator.DecodePhoto("***"); err == nil || strings.Contains(err.Error(), "***") {
		t.Errorf("DecodePhoto() = %v, want an error without the content", err)
	}
	if emulator.AnaLima("Other") != nil {
		t.Error("AnaLima() has claims for an unknown type")
	}
}

// TestCrowd lets many people present at once.
func TestCrowd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.demoToken()
	var crowd sync.WaitGroup
	for range 20 {
		crowd.Go(func() {
			wallet, err := w.e.NewWallet(emulator.WalletConfig{})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := w.e.IssueTo(wallet, "VerifiedEmployee", nil); err != nil {
				t.Error(err)
			}
			_, answer := w.create("createPresentationRequest", token, w.presentation("VerifiedEmployee", emulator.DemoAuthority))
			offer, err := wallet.Open(t.Context(), text(answer, "url"))
			if err != nil {
				t.Error(err)
				return
			}
			outcome, err := offer.Share(t.Context(), emulator.ShareOptions{})
			if err != nil || !outcome.Accepted {
				t.Errorf("Share() = %+v, %v", outcome, err)
			}
		})
	}
	crowd.Wait()
	if got := len(w.relying.callbacks()); got != 40 {
		t.Errorf("%d callbacks, want 40", got)
	}
}

// TestTwoAnswersAtOnce posts two answers to one request at the same time; only one may be called back.
func TestTwoAnswersAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	offer := w.open(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if _, err := offer.Share(context.WithoutCancel(t.Context()), emulator.ShareOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if got, want := w.relying.statuses(), "request_retrieved presentation_verified"; got != want {
		t.Errorf("callbacks = %q, want %q", got, want)
	}
}

// TestCloseEndsHanging closes the emulator while a fault keeps a caller waiting.
func TestCloseEndsHanging(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.demoToken()
	w.e.Faults().Inject(emulator.APICreatePresentation, emulator.Fault{Hang: true})
	done := make(chan error)
	go func() {
		_, err := w.raw(t.Context(), token)
		done <- err
	}()
	if err := w.e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("the hanging call gets an answer")
	}
}

func TestCA(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	if !bytes.HasPrefix(w.e.CA().PEM(), []byte("-----BEGIN CERTIFICATE-----")) {
		t.Errorf("PEM() = %s", w.e.CA().PEM())
	}
	cfg, err := w.e.CA().TLSConfig("wallet.test", "127.0.0.9")
	if err != nil {
		t.Fatal(err)
	}
	leaf := cfg.Certificates[0].Leaf
	if leaf == nil || leaf.VerifyHostname("wallet.test") != nil || leaf.VerifyHostname("127.0.0.9") != nil || leaf.VerifyHostname("localhost") == nil {
		t.Errorf("certificate is for %v, want wallet.test and 127.0.0.9", leaf)
	}
}
