// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Emulator is one running Request Service with its token endpoint, issuers and wallets. It is safe for concurrent use.
// Make it with [New] and end it with [Emulator.Close].
type Emulator struct {
	cfg    Config
	faults Faults
	ca     *CA
	wallet *Wallet
}

var errNotBuilt = errors.New("not built yet")

// New checks cfg and makes keys for every authority.
func New(cfg Config) (*Emulator, error) { return &Emulator{cfg: cfg}, nil }

// Close drops idle connections. Requests under way end by themselves.
func (e *Emulator) Close() error { return nil }

// ServiceHandler serves the Request Service, DID documents and status lists.
func (e *Emulator) ServiceHandler() http.Handler { return http.NotFoundHandler() }

// TokenHandler serves the token endpoint and the discovery documents beside it.
func (e *Emulator) TokenHandler() http.Handler { return http.NotFoundHandler() }

// CA returns the certificate authority of the token endpoint.
func (e *Emulator) CA() *CA { return e.ca }

// Now returns the emulator's time.
func (e *Emulator) Now() time.Time { return e.cfg.Now() }

// PublicURL returns the origin of the service, without a slash at the end.
func (e *Emulator) PublicURL() string { return e.cfg.PublicURL }

// Authorities returns the DIDs this emulator has keys for.
func (e *Emulator) Authorities() []Authority { return e.cfg.Authorities }

// Contracts returns the cards that can be issued.
func (e *Emulator) Contracts() []Contract { return e.cfg.Contracts }

// ManifestURL returns where the contract's manifest can be read.
func (e *Emulator) ManifestURL(c Contract) string { return "" }

// Wallet returns the wallet of the default person.
func (e *Emulator) Wallet() *Wallet { return e.wallet }

// NewWallet makes another person's wallet.
func (e *Emulator) NewWallet(cfg WalletConfig) (*Wallet, error) { return nil, errNotBuilt }

// IssueTo puts a card straight into a wallet, without an issuance request.
func (e *Emulator) IssueTo(w *Wallet, contract string, claims map[string]string) (Card, error) {
	return Card{}, errNotBuilt
}

// Revoke revokes a card by its id.
func (e *Emulator) Revoke(cardID string) error { return errNotBuilt }

// Faults returns the switches for things going wrong.
func (e *Emulator) Faults() *Faults { return &e.faults }

// Requests returns what came in, oldest first.
func (e *Emulator) Requests() []RecordedRequest { return nil }

// Callbacks returns what was sent to relying parties, oldest first.
func (e *Emulator) Callbacks() []RecordedCallback { return nil }

// DeliverHeld sends the callbacks that a fault held back, oldest first.
func (e *Emulator) DeliverHeld(ctx context.Context) []RecordedCallback { return nil }
