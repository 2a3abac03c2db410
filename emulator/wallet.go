// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// DIDMethod is how a wallet makes its holder's DID.
type DIDMethod string

// DID methods of wallets. The zero value of [DIDMethod] means [ION].
const (
	// ION is did:ion long form with a secp256k1 key (ES256K).
	ION DIDMethod = "ion"
	// JWK is did:jwk with a P-256 key (ES256), as builds for FIPS have.
	JWK DIDMethod = "jwk"
)

// Platform is the phone's system. The wallet's answers differ in details that nobody should depend on.
type Platform string

// Platforms of wallets. The zero value of [Platform] means [Android].
const (
	// Android writes "$" as the path of a single presentation and tokens that live 3600 s.
	Android Platform = "android"
	// IOS writes "$[0]" and "$[0].verifiableCredential[0]"; its id_token lives 300 s, its presentations 3000 s.
	IOS Platform = "ios"
)

// WalletConfig describes the wallet of one person.
type WalletConfig struct {
	// Name is for people to tell wallets apart. It is sent nowhere.
	Name string
	// DIDMethod is the kind of holder DID. Default: [ION].
	DIDMethod DIDMethod
	// Platform is the phone's system. Default: [Android].
	Platform Platform
}

// Wallet stands for Microsoft Authenticator on one person's phone. Its holder DID is one and the same towards all
// verifiers, as in the real one. It is safe for concurrent use.
type Wallet struct {
	e   *Emulator
	cfg WalletConfig
	key privateKey
	did string
	kid string // full DID URL of the key

	mu    sync.Mutex
	cards []Card
}

// Card is one credential in a wallet.
type Card struct {
	// ID is the credential's "jti".
	ID string
	// Type is the credential type beside VerifiableCredential.
	Type string
	// Issuer is the issuer's DID, IssuerName the name its configuration gives it.
	Issuer, IssuerName string
	// Claims are the claims by output name, the photo included.
	Claims map[string]string
	// ClaimOrder lists the names of Claims in the order of the contract, unknown ones last.
	ClaimOrder []string
	// Labels maps claims to what is written beside them.
	Labels map[string]string
	// PhotoClaim names the claim that holds the photo; empty if there is none. [DecodePhoto] reads it.
	PhotoClaim string
	// Display is how the card looks.
	Display Display
	// IssuedAt and ExpiresAt bound its validity.
	IssuedAt, ExpiresAt time.Time
	// Token is the signed credential, a compact JWT.
	Token string
}

// Errors of [Wallet.Open], [Offer] and [Emulator.Revoke].
var (
	// ErrExpired means that the request is too old, unknown or was answered already: the wallet got 404.
	ErrExpired = errors.New("request expired")
	// ErrBadLink means that the text is not a link the wallet opens.
	ErrBadLink = errors.New("not a link for the wallet")
	// ErrNetwork means that the request could not be fetched, or the answer not be posted.
	ErrNetwork = errors.New("networking error")
	// ErrBadRequest means that the signed request fails a check of the wallet.
	ErrBadRequest = errors.New("request not acceptable to the wallet")
	// ErrNoMatchingCard means that the wallet holds no card to answer with: "You'll have to add this Verified ID first".
	ErrNoMatchingCard = errors.New("no matching card in the wallet")
	// ErrWrongPIN means that the service refused the PIN; [Offer.AcceptIssuance] may be tried again.
	ErrWrongPIN = errors.New("wrong pin")
	// ErrRefused means that the service refused to issue a card.
	ErrRefused = errors.New("refused by the service")
	// ErrUnknownCard means that there is no card of that id.
	ErrUnknownCard = errors.New("no such card")
	// ErrWrongKind means that an [Offer] was answered in the way of the other kind.
	ErrWrongKind = errors.New("not that kind of offer")
)

// NewWallet makes another person's wallet, without cards.
func (e *Emulator) NewWallet(cfg WalletConfig) (*Wallet, error) {
	w := &Wallet{e: e, cfg: cfg}
	var err error
	switch cfg.DIDMethod {
	case ION, "":
		w.key = newPrivateKey(P256K, e.rand)
		w.did, err = newION(w.key.public(), e.rand)
		w.kid = w.did + "#sign"
	case JWK:
		w.key = newPrivateKey(P256, e.rand)
		w.did, err = newDIDJWK(w.key.public())
		w.kid = w.did + "#0"
	default:
		err = fmt.Errorf("DID method %q is neither %s nor %s", cfg.DIDMethod, ION, JWK)
	}
	if cfg.Platform != "" && cfg.Platform != Android && cfg.Platform != IOS {
		err = fmt.Errorf("platform %q is neither %s nor %s", cfg.Platform, Android, IOS)
	}
	if err != nil {
		return nil, fmt.Errorf("making wallet: %w", err)
	}
	return w, nil
}

// Name returns the name from the wallet's configuration.
func (w *Wallet) Name() string { return w.cfg.Name }

// DID returns the holder's DID. It is a personal identifier.
func (w *Wallet) DID() string { return w.did }

// Cards returns the cards, oldest first.
func (w *Wallet) Cards() []Card {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.cards)
}

// Add puts a card into the wallet. A card of the same ID is replaced. Nothing is checked: a hostile wallet holds
// what it likes, for example another person's card, and the service has to notice.
func (w *Wallet) Add(c Card) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := w.index(c.ID); i >= 0 {
		w.cards[i] = c
		return
	}
	w.cards = append(w.cards, c)
}

// Remove takes a card out of the wallet and says whether it was there.
func (w *Wallet) Remove(cardID string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.index(cardID)
	if i < 0 {
		return false
	}
	w.cards = slices.Delete(w.cards, i, i+1)
	return true
}

// Card returns one card.
func (w *Wallet) Card(cardID string) (Card, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := w.index(cardID); i >= 0 {
		return w.cards[i], true
	}
	return Card{}, false
}

func (w *Wallet) index(cardID string) int {
	return slices.IndexFunc(w.cards, func(c Card) bool { return c.ID == cardID })
}

// cardOf shows a signed credential as its contract says.
func cardOf(c *credential, contract *Contract, issuerName, token string) Card {
	card := Card{
		ID: c.JTI, Type: c.typeName(), Issuer: c.Iss, IssuerName: issuerName, Claims: c.claims(),
		Labels: make(map[string]string), IssuedAt: time.Unix(c.Iat, 0), ExpiresAt: time.Unix(c.Exp, 0), Token: token,
		Display: Display{Title: c.typeName(), Locale: "en-US"},
	}
	if contract != nil {
		card.Display, card.PhotoClaim = contract.Display, contract.PhotoClaim
		for _, rule := range contract.Claims {
			card.Labels[rule.Output] = rule.Label
			if _, ok := card.Claims[rule.Output]; ok {
				card.ClaimOrder = append(card.ClaimOrder, rule.Output)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(card.Claims)) {
		if !slices.Contains(card.ClaimOrder, name) {
			card.ClaimOrder = append(card.ClaimOrder, name)
			card.Labels[name] = name
		}
	}
	return card
}

// cardFromToken shows a credential that came over the network.
func (e *Emulator) cardFromToken(token string) (Card, error) {
	parsed, err := parseToken(token)
	if err != nil {
		return Card{}, err
	}
	c := new(credential)
	if err := parsed.claims(c); err != nil {
		return Card{}, err
	}
	var issuerName string
	if a, ok := e.authorities[c.Iss]; ok {
		issuerName = a.Name
	}
	i := slices.IndexFunc(e.cfg.Contracts, func(contract Contract) bool {
		return contract.Issuer == c.Iss && contract.Type == c.typeName()
	})
	if i < 0 {
		return cardOf(c, nil, issuerName, token), nil
	}
	return cardOf(c, &e.cfg.Contracts[i], issuerName, token), nil
}
