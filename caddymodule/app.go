// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

func init() {
	caddy.RegisterModule(App{})
}

// App is what all gates share: who we are towards Microsoft Entra Verified ID, which credentials exist, which
// identity-verification partners issue them, how long sessions live and where transactions are kept. It is the
// global option `verified_id` of a Caddyfile.
//
// Secrets (`client_secret`, `sealing_keys` and others that say so) accept the placeholders `{env.*}` and `{file.*}`,
// read when the config is loaded; an unset variable or an unreadable file stops the load.
type App struct {
	// How access tokens for the Request Service are obtained. Required.
	Entra *Entra `json:"entra,omitempty"`

	// Base URL of the Request Service. Default: https://verifiedid.did.msidentity.com
	Service string `json:"service,omitempty"`

	// PEM file of certificate authorities trusted, in place of the system's, for the token endpoint, the Request
	// Service and manifests. For an outgoing proxy that inspects TLS, and for the emulator. Default: the system's.
	TrustedCA string `json:"trusted_ca,omitempty"`

	// The verifier's DID in the Entra tenant, for example did:web:verifiedid.contoso.com. Required.
	Authority string `json:"authority,omitempty"`

	// Name that Authenticator shows for the asking site. Required. At most 100 characters.
	ClientName string `json:"client_name,omitempty"`

	// Why the site asks, shown by Authenticator. A credential's own purpose wins. At most 200 characters.
	Purpose string `json:"purpose,omitempty"`

	// Origin (https://host[:port]) at which the Request Service, partners and browsers reach us. Default: the gated
	// site's own address when it has exactly one https host; otherwise required.
	PublicURL string `json:"public_url,omitempty"`

	// The credentials that gates may ask for, by a name of the operator's choosing. At least one.
	Credentials map[string]*Credential `json:"credentials,omitempty"`

	// Partners that verify a person's identity and issue a credential, by name.
	IDV map[string]*IDV `json:"idv,omitempty"`

	// How long a verification lasts in the browser.
	Session *SessionConfig `json:"session,omitempty"`

	// Where transactions and revocations are kept. Default: memory.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=http.verified_id.stores inline_key=store"`

	// Keys that seal cookies and page tokens, as base64 of at least 32 random bytes each; the first seals, all open.
	// Placeholders are supported. Default: keys made and kept in Caddy's storage, a new one every 30 days.
	SealingKeys []string `json:"sealing_keys,omitempty"`

	// Key that makes the opaque subject of a holder, as base64 of at least 32 random bytes. With another key everybody is
	// somebody else for the app. For nodes that share no storage, and to carry the names of one installation over to
	// another. Placeholders are supported. Default: a key made once and kept in Caddy's storage.
	SubjectKey string `json:"subject_key,omitempty"`

	// PEM files with RSA keys that sign kickstart tokens; the first signs, all are published. Placeholders are supported.
	// Default: keys made and kept in Caddy's storage, a new one every 90 days.
	KickstartKeys []string `json:"kickstart_keys,omitempty"`

	// PEM files with P-256 keys that sign assertions; the first signs, all are published. Placeholders are supported.
	// Default: keys made and kept in Caddy's storage, a new one every 90 days.
	AssertionKeys []string `json:"assertion_keys,omitempty"`

	// Permit key files (kickstart_keys, assertion_keys, client_certificate) that their group may read, mode 0640 or 0440, as where secrets
	// are mounted for a group. Everybody in it then has the key. Files that others may read never load. Default: 0600 only.
	GroupReadableKeys bool `json:"group_readable_keys,omitempty"`

	// Answer other proxies that ask at /.verified-id/auth whether a request may pass; see docs/forward-auth.md. Whoever
	// comes by way of a proxy that Caddy trusts can then ask, too, and read their own identity headers and assertion.
	ForwardAuth bool `json:"forward_auth,omitempty"`

	// Header in which the Request Service sends us the callback key: authorization or api-key. Caddy's access log
	// redacts the first and prints the second. Default: authorization.
	CallbackHeader string `json:"callback_header,omitempty"`

	// Caps on what anonymous visitors may cause.
	Limits *Limits `json:"limits,omitempty"`

	// How the visitor's pages look.
	Pages *Pages `json:"pages,omitempty"`

	// Permit plain HTTP on loopback hosts: sites without TLS get cookies without the Secure attribute and the
	// Request Service may be an http URL. For trying and testing only; logged as a warning at each load.
	InsecureLoopbackHTTP bool `json:"insecure_loopback_http,omitempty"`

	logger       *zap.Logger
	ctx          caddy.Context
	credentials  map[string]*credential
	partners     map[string]*partner
	publicOrigin origin
	client       *verifier.Client
	store        *sharedStore
	storeModule  StoreModule
	storeConfig  StoreConfig
	kept         *keptRevocations
	keys         *keys
	assertions   *assertionCache
	limiter      *limiter
	faceChecks   *faceChecks
	pages        *page.Renderer
	metrics      *metrics
	events       *caddyevents.App
	gates        *gateRegistry
	releases     []func()
	now          func() time.Time
	// closing is closed, by close, when a server of this config begins to shut down; see endStreams.
	closing chan struct{}
	close   func()
	// observe is told what each gate did with a request. Only `caddy verified-id check` sets it.
	observe func(g *Gate, r *http.Request, passes bool)
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "verified_id",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision resolves secrets, checks every setting and takes the shared parts (token cache, store, limits) from the
// pools that outlive a reload. It calls nobody on the network.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger, a.now = ctx, ctx.Logger(), time.Now
	a.gates, a.assertions, a.closing = newGateRegistry(), newAssertionCache(), make(chan struct{})
	a.close = sync.OnceFunc(func() { close(a.closing) })
	for _, step := range []func() error{
		a.provisionIdentity, a.provisionCredentials, a.provisionPartners, a.provisionSession,
		a.provisionKeys, a.provisionManifests, a.provisionStore, a.provisionRevocations, a.provisionClient, a.provisionLimits, a.provisionFaceChecks, a.provisionPages, a.provisionMetrics, a.provisionEvents,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	a.warnWeakenings()
	return nil
}

// Start makes this the app that the admin API speaks to and the store follows, keeps the sealing keys current, and those of
// assertions if a gate hands assertions over, and fetches manifests in the background. Gates work from the moment they are
// provisioned.
func (a *App) Start() error {
	running.set(a)
	a.reconfigureStore()
	a.followManifests()
	if a.keys.followed != nil {
		go a.keys.followed.follow(a.ctx, a.now)
	}
	if a.gates.asserting() && a.keys.assertion.configured == nil {
		go a.keys.assertion.follow(a.ctx, a.now)
	}
	return nil
}

// Stop ends that and saves the count of Face Checks, or leaves it to the config that goes on: to save needs a lock, which a node that
// was killed may have left, and a reload is not to wait for that. Following the keys ends with the context that Caddy cancels, streams
// with their server.
func (a *App) Stop() error {
	running.unset(a)
	if goesOn := a.faceChecks.keeper(); goesOn != nil {
		a.faceChecks.saveSoon(goesOn)
		return nil
	}
	a.saveFaceChecks()
	return nil
}

// Cleanup gives the shared parts back, also after a Provision that failed half-way. A config of which another part did not start
// has made the store follow it, and Caddy need not have stopped its apps: the store follows again the config that goes on (TM-138).
func (a *App) Cleanup() error {
	running.unset(a)
	if goesOn := running.newest(); goesOn != nil {
		goesOn.reconfigureStore()
	}
	for _, release := range slices.Backward(a.releases) {
		release()
	}
	a.releases = nil
	return nil
}

// provisionIdentity checks who we say we are.
func (a *App) provisionIdentity() error {
	if !validDID(a.Authority) {
		return optionError("authority", a.Authority, "must be the verifier's DID, for example did:web:verifiedid.contoso.com")
	}
	if err := checkText("client_name", a.ClientName, 1, 100); err != nil {
		return err
	}
	if err := checkText("purpose", a.Purpose, 0, 200); err != nil {
		return err
	}
	switch a.CallbackHeader {
	case "":
		a.CallbackHeader = "authorization"
	case "authorization", "api-key":
	default:
		return optionError("callback_header", a.CallbackHeader, "must be authorization or api-key: the Request Service sends no others")
	}
	if a.PublicURL == "" {
		return nil
	}
	public, err := resolve("public_url", a.PublicURL)
	if err != nil {
		return err
	}
	a.publicOrigin, err = parseOrigin(public, a.InsecureLoopbackHTTP)
	if err != nil {
		return fmt.Errorf("public_url: %w", err)
	}
	return nil
}

// warnWeakenings lists, once at each load, every setting that weakens what the gate promises (TM-150).
func (a *App) warnWeakenings() {
	if a.InsecureLoopbackHTTP {
		a.logger.Warn("insecure setting in use", zap.String("option", "insecure_loopback_http"))
	}
	if store, ok := a.storeModule.(weakenable); ok {
		for _, option := range store.Weakenings() {
			a.logger.Warn("insecure setting in use", zap.String("option", option))
		}
	}
	for name, c := range a.Credentials {
		for _, option := range c.weakenings() {
			a.logger.Warn("insecure setting in use", zap.String("credential", name), zap.String("option", option))
		}
	}
}

// weakenable is a guest module with options that weaken what the gate promises; it names those in use.
type weakenable interface{ Weakenings() []string }

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
