// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"context"
	"errors"
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

// WalletConfig describes the wallet of one person.
type WalletConfig struct {
	// Name is for people to tell wallets apart. It is sent nowhere.
	Name string
	// DIDMethod is the kind of holder DID. Default: [ION].
	DIDMethod DIDMethod
}

// Wallet stands for Microsoft Authenticator on one person's phone. It is safe for concurrent use.
type Wallet struct {
	cfg WalletConfig
	did string
}

// Card is one credential in a wallet.
type Card struct {
	// ID is the credential's "jti".
	ID string
	// Type is the credential type beside VerifiableCredential.
	Type string
	// Issuer is the issuer's DID, IssuerName the name it gives itself.
	Issuer, IssuerName string
	// Claims are the claims by output name, the photo included.
	Claims map[string]string
	// PhotoClaim names the claim that holds the photo; empty if there is none.
	PhotoClaim string
	// Display is how the card looks.
	Display Display
	// Labels maps claims to what is written beside them.
	Labels map[string]string
	// IssuedAt and ExpiresAt bound its validity.
	IssuedAt, ExpiresAt time.Time
	// Token is the signed credential, a compact JWT.
	Token string
}

// Errors of [Wallet.Open] and of an [Offer].
var (
	// ErrExpired means that the request is too old, or was answered already: the wallet got 404.
	ErrExpired = errors.New("request expired")
	// ErrBadRequest means that the signed request fails a check of the wallet.
	ErrBadRequest = errors.New("request not acceptable to the wallet")
	// ErrNoMatchingCard means that the wallet holds no card to answer with: "You'll have to add this Verified ID first".
	ErrNoMatchingCard = errors.New("no matching card in the wallet")
	// ErrWrongPIN means that the service refused the PIN; [Offer.AcceptIssuance] may be tried again.
	ErrWrongPIN = errors.New("wrong pin")
	// ErrUnknownCard means that the wallet has no card of that id.
	ErrUnknownCard = errors.New("no such card in the wallet")
)

// Name returns the name from the wallet's configuration.
func (w *Wallet) Name() string { return w.cfg.Name }

// DID returns the holder's DID.
func (w *Wallet) DID() string { return w.did }

// Cards returns the cards, oldest first.
func (w *Wallet) Cards() []Card { return nil }

// Add puts a card into the wallet. A card of the same ID is replaced.
func (w *Wallet) Add(c Card) {}

// Remove takes a card out of the wallet and says whether it was there.
func (w *Wallet) Remove(cardID string) bool { return false }

// Open fetches the request behind a deep link and checks it as the real wallet does.
func (w *Wallet) Open(ctx context.Context, link string) (*Offer, error) { return nil, errNotBuilt }
