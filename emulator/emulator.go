// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Emulator is one running Request Service with its token endpoint, issuers and wallets. Everything lives in memory;
// keys are made afresh by each [New]. It is safe for concurrent use. End it with [Emulator.Close].
type Emulator struct {
	cfg    Config
	log    *slog.Logger
	rand   *random
	client *http.Client
	ca     *CA

	cast        []*authority          // those of the configuration, in its order
	authorities map[string]*authority // by DID, the Face Check's own included
	faceCheck   *authority
	retired     privateKey           // of DIDs that domains had before; see didConfigurationOf
	contracts   map[string]*Contract // by id
	tenants     map[string]string    // tenant id by id and by domain, in lower case

	requests requests
	faults   Faults
	held     heldMessages
	records  records
	wallet   *Wallet

	mu     sync.Mutex
	issued map[string]statusBit // by jti

	life   context.Context // ends with Close
	stop   context.CancelFunc
	closed <-chan struct{}
}

// New checks cfg and makes keys for every authority. It starts nothing: serve [Emulator.ServiceHandler] at
// Config.PublicURL and [Emulator.TokenHandler] at Config.TokenURL.
func New(cfg Config) (*Emulator, error) {
	cfg, err := withDefaults(cfg)
	if err != nil {
		return nil, fmt.Errorf("configuring emulator: %w", err)
	}
	e := &Emulator{
		cfg: cfg, log: cfg.Logger, rand: &random{source: cfg.Rand}, client: callbackClient(cfg.HTTPClient),
		authorities: make(map[string]*authority), contracts: make(map[string]*Contract),
		issued: make(map[string]statusBit),
	}
	e.life, e.stop = context.WithCancel(context.Background())
	e.closed = e.life.Done()
	if e.ca, err = NewCA(cfg.Now()); err != nil {
		return nil, err
	}
	for _, config := range cfg.Authorities {
		a := newAuthority(config, cfg.PublicURL+"/v1.0/hub/"+config.Tenant, e.rand)
		e.cast = append(e.cast, a)
		e.authorities[a.DID] = a
	}
	if _, taken := e.authorities[FaceCheckAuthority]; taken {
		return nil, fmt.Errorf("configuring emulator: %s is the Face Check's own DID", FaceCheckAuthority)
	}
	e.faceCheck = newAuthority(Authority{DID: FaceCheckAuthority, KeyAlg: P256, LinkedDomain: "https://facecheck.service.example/"}, "", e.rand)
	e.authorities[FaceCheckAuthority] = e.faceCheck
	e.retired = newPrivateKey(P256, e.rand)
	for i := range cfg.Contracts {
		e.contracts[cfg.Contracts[i].ID] = &cfg.Contracts[i]
	}
	e.tenants = tenantsOf(cfg)
	if e.wallet, err = e.NewWallet(WalletConfig{Name: "Ana Lima"}); err != nil {
		return nil, err
	}
	return e, nil
}

// tenantsOf lists the tenants by every name the token endpoint knows them by.
func tenantsOf(cfg Config) map[string]string {
	tenants := map[string]string{strings.ToLower(cfg.Tenant): cfg.Tenant, strings.ToLower(cfg.TenantDomain): cfg.Tenant}
	for _, a := range cfg.Authorities {
		tenants[strings.ToLower(a.Tenant)] = a.Tenant
	}
	for _, c := range cfg.Clients {
		tenants[strings.ToLower(c.Tenant)] = c.Tenant
	}
	for domain, tenant := range map[string]string{PartnerTenantDomain: PartnerTenant, MalloryTenantDomain: MalloryTenant} {
		if _, known := tenants[tenant]; known {
			tenants[domain] = tenant
		}
	}
	return tenants
}

// Close ends callbacks and answers under way and drops idle connections of the emulator's own client. Handlers must
// not be called afterwards.
func (e *Emulator) Close() error {
	e.stop()
	if e.cfg.HTTPClient == nil {
		e.client.CloseIdleConnections()
	}
	return nil
}

// CA returns the certificate authority of the token endpoint.
func (e *Emulator) CA() *CA { return e.ca }

// Now returns the emulator's time.
func (e *Emulator) Now() time.Time { return e.cfg.Now() }

// PublicURL returns the origin of the service, without a slash at the end.
func (e *Emulator) PublicURL() string { return e.cfg.PublicURL }

// TokenURL returns the origin of the token endpoint, without a slash at the end: the authority host of clients.
func (e *Emulator) TokenURL() string { return e.cfg.TokenURL }

// Clients returns the applications that may get tokens, with defaults filled in.
func (e *Emulator) Clients() []Client { return slices.Clone(e.cfg.Clients) }

// Authorities returns the DIDs with keys, with defaults filled in.
func (e *Emulator) Authorities() []Authority { return slices.Clone(e.cfg.Authorities) }

// Contracts returns the cards that can be issued, with defaults filled in.
func (e *Emulator) Contracts() []Contract { return slices.Clone(e.cfg.Contracts) }

// Wallet returns the wallet of the default person, Ana Lima. It holds no cards at first.
func (e *Emulator) Wallet() *Wallet { return e.wallet }

// Faults returns the switches for things going wrong.
func (e *Emulator) Faults() *Faults { return &e.faults }

// ErrUnknownContract means that no contract of the emulator has this id or type.
var ErrUnknownContract = errors.New("no such contract")

// Contract finds a contract by its id, or the first one of a type in the order of the configuration.
func (e *Emulator) Contract(idOrType string) (Contract, error) {
	c, err := e.contract(idOrType)
	if err != nil {
		return Contract{}, err
	}
	return *c, nil
}

func (e *Emulator) contract(idOrType string) (*Contract, error) {
	if c, ok := e.contracts[strings.ToLower(idOrType)]; ok {
		return c, nil
	}
	for i := range e.cfg.Contracts {
		if c := &e.cfg.Contracts[i]; c.Type == idOrType {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownContract, idOrType)
}

// IssueOptions describe a card that [Emulator.Issue] makes without asking anybody.
type IssueOptions struct {
	// Contract is the contract's id, or a type whose first contract is taken. Required.
	Contract string
	// Claims are the claims by output name; any name is taken. Nil: those of [AnaLima].
	Claims map[string]string
	// IssuedAt is the start of validity. Default: now.
	IssuedAt time.Time
	// ExpiresAt is the end of validity; it may be in the past. Default: the contract's validity after IssuedAt.
	ExpiresAt time.Time
	// NoStatus leaves out credentialStatus: the card cannot be revoked.
	NoStatus bool
}

// Issue makes a signed card and puts it into a wallet, without an issuance request.
func (e *Emulator) Issue(w *Wallet, o IssueOptions) (Card, error) {
	c, err := e.contract(o.Contract)
	if err != nil {
		return Card{}, fmt.Errorf("issuing card: %w", err)
	}
	if o.Claims == nil {
		o.Claims = AnaLima(c.Type)
	}
	if o.IssuedAt.IsZero() {
		o.IssuedAt = e.Now()
	}
	if o.ExpiresAt.IsZero() {
		o.ExpiresAt = o.IssuedAt.Add(c.Validity)
	}
	card, err := e.issue(c, issueOptions{
		holder: w.did, claims: o.Claims, issued: o.IssuedAt, expires: o.ExpiresAt, noStatus: o.NoStatus,
	})
	if err != nil {
		return Card{}, err
	}
	w.Add(card)
	return card, nil
}

// IssueTo is [Emulator.Issue] with a contract and claims only.
func (e *Emulator) IssueTo(w *Wallet, contract string, claims map[string]string) (Card, error) {
	return e.Issue(w, IssueOptions{Contract: contract, Claims: claims})
}

// IssueDemoCards puts the two usual cards of Ana Lima into a wallet, VerifiedEmployee and VerifiedIdentity, as far as
// there are contracts for them.
func (e *Emulator) IssueDemoCards(w *Wallet) error {
	for _, contract := range []string{"VerifiedEmployee", "VerifiedIdentity"} {
		if _, err := e.IssueTo(w, contract, nil); err != nil && !errors.Is(err, ErrUnknownContract) {
			return err
		}
	}
	return nil
}

// Revoke sets the status bit of a card. Presentations of it fail from now on, unless the request allows revoked
// cards. It fails with [ErrUnknownCard] for cards that have no status.
func (e *Emulator) Revoke(cardID string) error {
	e.mu.Lock()
	bit, ok := e.issued[cardID]
	e.mu.Unlock()
	if !ok {
		return fmt.Errorf("revoking card: %w", ErrUnknownCard)
	}
	bit.list.revoke(bit.index)
	return nil
}

// Revoked says whether a card was revoked.
func (e *Emulator) Revoked(cardID string) bool {
	e.mu.Lock()
	bit, ok := e.issued[cardID]
	e.mu.Unlock()
	return ok && bit.list.revoked(bit.index)
}
