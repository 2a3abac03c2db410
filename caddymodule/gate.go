// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

func init() {
	caddy.RegisterModule(Gate{})
}

// Gate lets a request continue only when its browser has presented a Verified ID that satisfies this route, and hands
// the verified claims to the handlers behind it as request headers. Identity headers that the client sent are removed
// first, on every way through. A page load without a session is redirected to the start page; anything else is answered
// 401 with problem+json that names the start page.
//
// The gate also serves its own pages and endpoints under `/.verified-id/`, whatever its matchers and the site's rewrites.
//
// These placeholders are set for requests that passed with an identity, and are empty otherwise:
//
// Placeholder | Description
// ------------|-------------
// `{http.verified_id.claims.<name>}` | a kept claim
// `{http.verified_id.subject}` | opaque, keyed name of the holder
// `{http.verified_id.issuer}` | DID of the credential's issuer
// `{http.verified_id.type}` | credential type
// `{http.verified_id.credential}` | the operator's name of the credential
// `{http.verified_id.verified_at}` | when it was presented, RFC 3339
// `{http.verified_id.face_score}` | Face Check confidence score, empty without Face Check
// `{http.verified_id.session_id}` | opaque id of the session
// `{http.verified_id.device}` | same, or cross when the code may have been scanned with another device
// `{http.verified_id.refusal}` | with report_only: why the gate would have refused
// `{http.auth.user.id}` | the subject, unless another login set it before
type Gate struct {
	// Names of the app's credentials, any one of which satisfies the gate. Default: the only one defined.
	Credentials []string `json:"credentials,omitempty"`

	// Requests that the gate applies to. Default: all. The endpoints and the removal of the client's identity headers
	// do not depend on it.
	MatcherSetsRaw caddyhttp.RawMatcherSets `json:"match,omitempty" caddy:"namespace=http.matchers"`

	// How old the presentation may be on this route, at least 30s; older ones lead to a step-up. Default: as old as the
	// session.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// Face Check score needed on this route, 50 to 100, if higher than the credential's own. Default: the credential's.
	FaceCheck int `json:"face_check,omitempty"`

	// Rules on claims, all of which must hold. Compared exactly. They go to the wallet as well, so that of several cards it
	// offers one that will do, unless a value reads as a number or a truth value: wallets find only texts.
	Require []Rule `json:"require,omitempty"`

	// Ties the presented claim to a value of the request.
	Bind *Bind `json:"bind,omitempty"`

	// Networks (addresses or CIDRs) from which a verification for this gate may begin, by the client's address as Caddy
	// determines it. From elsewhere nobody can start, and those who have a session go on. Default: from everywhere.
	StartFrom []string `json:"start_from,omitempty"`

	// Headers for the app besides those of the preset.
	Headers []Header `json:"headers,omitempty"`

	// Set of headers: default (X-Verified-Id-Subject, -Issuer, -Type, -Credential, -Verified-At), remote_user
	// (Remote-User), x_forwarded (X-Forwarded-User), or none. Default: default.
	HeaderPreset string `json:"header_preset,omitempty"`

	// Name of the header in which the app gets a signed assertion of who passed and what was shown; see docs/assertion.md.
	// A request that passed with an identity never goes on without it. Default: no assertion.
	Assertion string `json:"assertion,omitempty"`

	// Let visitors without a session pass, without identity headers.
	Optional bool `json:"optional,omitempty"`

	// Paths that pass without identity: exact, or a prefix ending in /*. Only plainly spelled paths match; encoded
	// slashes, dot segments, doubled slashes, backslashes and semicolons never do.
	Public []string `json:"public,omitempty"`

	// Let everybody pass; who would have been refused, and why, is logged, counted and put in a placeholder.
	ReportOnly bool `json:"report_only,omitempty"`

	// Let preflights of other sites' scripts pass, as nobody, so that the app can answer them: OPTIONS with one Origin, one
	// Access-Control-Request-Method and no body. Default: they are refused like everything without a session.
	Preflight bool `json:"preflight,omitempty"`

	app      *App
	logger   *zap.Logger
	site     *site
	place    place
	id       string
	matchers caddyhttp.MatcherSets
	wants    []want
	headers  []headerTemplate
	networks []netip.Prefix // of StartFrom
}

// Rule demands that a claim equals one of the values, exactly and case-sensitively.
type Rule struct {
	// Claim that is compared, by its exact name.
	Claim string `json:"claim,omitempty"`

	// Values, one of which it must have.
	Values []string `json:"values,omitempty"`
}

// Bind demands that a claim equals a value of the request, for example the user that another login put into
// {http.auth.user.id}. It is sent to the wallet as a constraint and checked on the answer. Where the value is empty no
// verification is started and nobody passes.
type Bind struct {
	// Claim that is compared, by its exact name.
	Claim string `json:"claim,omitempty"`

	// What it must be, with placeholders of the request.
	Value string `json:"value,omitempty"`
}

// want is one credential as this gate demands it.
type want struct {
	credential  *credential
	requirement verifier.Requirement // without what is learned from a manifest; see demand
	learned     *atomic.Pointer[learnedDemand]
}

// CaddyModule returns the Caddy module information.
func (Gate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.verified_id", New: func() caddy.Module { return new(Gate) }}
}

// Provision finds the app and checks every setting against it.
func (g *Gate) Provision(ctx caddy.Context) error {
	g.logger = ctx.Logger()
	app, err := configuredApp(ctx)
	if err != nil {
		return err
	}
	g.app = app
	derived := readsDerived(g.MatcherSetsRaw)
	if len(g.MatcherSetsRaw) > 0 {
		sets, err := ctx.LoadModule(g, "MatcherSetsRaw")
		if err != nil {
			return fmt.Errorf("loading matchers: %w", err)
		}
		if err := g.matchers.FromInterface(sets); err != nil {
			return fmt.Errorf("loading matchers: %w", err)
		}
	}
	if err := checkReachable(ctx); err != nil {
		return err
	}
	warnErrorRoutes(ctx, g.logger)
	from, err := siteOrigin(ctx, g.app.publicOrigin)
	if err != nil {
		return fmt.Errorf("verified_id: %w", err)
	}
	if err := g.app.checkShared(ctx, from); err != nil {
		return err
	}
	g.site = g.app.siteOf(from)
	if err := g.provisionWants(); err != nil {
		return err
	}
	if err := g.provisionHeaders(); err != nil {
		return err
	}
	if err := g.provisionAssertion(); err != nil {
		return err
	}
	if err := g.provisionNetworks(); err != nil {
		return err
	}
	for _, path := range g.Public {
		if err := checkPublic(path); err != nil {
			return err
		}
	}
	g.place = placeOf(ctx)
	g.place.derived = derived
	g.id = g.fingerprint()
	g.app.gates.add(g)
	g.app.endStreams(ctx)
	g.tell()
	return nil
}

// configuredApp is the app of this config. Without one nothing of ours can work.
func configuredApp(ctx caddy.Context) (*App, error) {
	loaded, err := ctx.AppIfConfigured("verified_id")
	if err != nil {
		return nil, fmt.Errorf("the global option verified_id { … } is missing or wrong: %w", err)
	}
	app, ok := loaded.(*App)
	if !ok {
		return nil, fmt.Errorf("the app verified_id is a %T", loaded)
	}
	return app, nil
}

func (g *Gate) provisionWants() error {
	names := g.Credentials
	if len(names) == 0 {
		if len(g.app.credentials) != 1 {
			return errNoCredential
		}
		for name := range g.app.credentials {
			names = []string{name}
		}
	}
	if g.MaxAge < 0 {
		return optionError("max_age", time.Duration(g.MaxAge).String(), "must not be negative")
	}
	if g.Optional && g.ReportOnly {
		return errors.New("optional and report_only contradict each other; remove one")
	}
	if g.FaceCheck != 0 {
		if err := checkThreshold(g.FaceCheck); err != nil {
			return err
		}
	}
	required, err := g.rules()
	if err != nil {
		return err
	}
	for i, name := range names {
		credential := g.app.credentials[name]
		if credential == nil {
			return fmt.Errorf("credential %q is not defined; add: credential %s { type …; issuer … } to the global option verified_id", name, name)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("credential %q is named twice", name)
		}
		if g.FaceCheck != 0 && credential.base.FaceCheck == nil {
			return fmt.Errorf("face_check %d: credential %q has face_check off; switch it on there", g.FaceCheck, name)
		}
		for _, rule := range required {
			credential.keepFor(rule.Claim)
		}
		if g.Bind != nil {
			credential.keepFor(g.Bind.Claim)
		}
		g.wants = append(g.wants, newWant(credential, credential.requirement(g.FaceCheck, required)))
	}
	return nil
}

func (g *Gate) rules() ([]verifier.RequiredClaim, error) {
	var out []verifier.RequiredClaim
	for _, rule := range g.Require {
		if rule.Claim == "" || len(rule.Values) == 0 {
			return nil, fmt.Errorf("require %q: give a claim and at least one value", rule.Claim)
		}
		out = append(out, verifier.RequiredClaim{Claim: rule.Claim, Values: rule.Values})
	}
	if b := g.Bind; b != nil && (b.Claim == "" || b.Value == "") {
		return nil, errors.New("bind: give a claim and a value, for example: bind mail {http.auth.user.id}")
	}
	return out, nil
}

// requirement freezes what a transaction of this gate asks for. bound is the value of this request that bind compares.
func (g *Gate) requirement(w want, bound string) verifier.Requirement {
	r := w.credential.requirement(g.FaceCheck, slices.Clone(w.requirement.RequiredClaims))
	if g.Bind != nil {
		r.RequiredClaims = append(r.RequiredClaims, verifier.RequiredClaim{Claim: g.Bind.Claim, Values: []string{bound}})
		r.Constraints = append(r.Constraints, verifier.Constraint{ClaimName: g.Bind.Claim, Values: []string{bound}})
	}
	return r
}

func (g *Gate) want(credential string) (want, bool) {
	for _, w := range g.wants {
		if w.credential.name == credential {
			return w, true
		}
	}
	return want{}, false
}

// checkPublic refuses spellings that could mean more than they say.
func checkPublic(path string) error {
	exact := strings.TrimSuffix(path, "/*")
	if !plainPath(path) || strings.ContainsAny(exact, "*{}?") || exact == "" {
		return optionError("public", path, "must be a plain path such as /health, or a prefix such as /assets/*")
	}
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Gate)(nil)
	_ caddyhttp.MiddlewareHandler = (*Gate)(nil)
)
