// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// IDV is an identity-verification partner: visitors without a credential are sent there with a signed one-time link,
// get the credential issued and come back.
type IDV struct {
	// What is published about the partner, by a name of the table of partners, such as au10tix. It fills in the display name
	// and, in credentials that name the partner, what they leave out: the type, and the photo claim of that type. What is not
	// published must be written. Default: none.
	Partner string `json:"partner,omitempty"`

	// The partner's start URL for this organisation, as the partner gave it. https. `{token}` in its query marks where
	// the signed token goes; without it the token is added as the parameter TokenParameter. Required.
	URL string `json:"url,omitempty"`

	// The organisation's identifier, agreed with the partner. Required.
	OrgID string `json:"org_id,omitempty"`

	// Query parameter that carries the token when the URL has no {token}. Default: token.
	TokenParameter string `json:"token_parameter,omitempty"`

	// How the visitor gets there: get (the token in the address), or post (by a form, the token in its body) where the partner
	// asks for it. Default: get.
	Method string `json:"method,omitempty"`

	// Audience of the token (hardened claims only). Default: the origin of the URL.
	Audience string `json:"audience,omitempty"`

	// How long the token can be used. Default: 5m. Maximum: 15m.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`

	// Claims in the token: hardened (adds iss, aud, iat, nbf, jti and the key id), or minimal (OrgId, RequestId, exp,
	// redirectUrl and nothing else) for partners that refuse what they do not know. Default: hardened.
	Claims string `json:"claims,omitempty"`

	// Name that visitors see. Default: the partner's own spelling if it has a preset, else its name in the config.
	DisplayName string `json:"display_name,omitempty"`

	// File with the partner's logo (SVG, PNG or JPEG, at most 256 KiB). Default: none.
	Logo string `json:"logo,omitempty"`

	// How long the partner takes and what it asks for, for example "about 10 minutes; passport and phone". The start page then says
	// nothing of that itself. Default: none; the page says 15 minutes, an identity document and a phone.
	Note string `json:"note,omitempty"`
}

const (
	defaultKickstartLifetime = 5 * time.Minute
	maxKickstartLifetime     = 15 * time.Minute

	methodPost = "post"
)

// partner is an IDV with defaults applied and checked.
type partner struct {
	idvredirect.Partner
	displayName string
	logo        string
	note        string
	origin      string // for the form-action of the pages
	post        bool   // by a form
}

func (a *App) provisionPartners() error {
	a.partners = make(map[string]*partner, len(a.IDV))
	for name, cfg := range a.IDV {
		built, err := cfg.build(name, a.urlOptions()...)
		if err == nil {
			built.logo, err = logoDataURI(cfg.Logo)
		}
		if err != nil {
			return fmt.Errorf("idv %s: %w", name, err)
		}
		a.partners[name] = built
	}
	for name, c := range a.credentials {
		for _, p := range c.partners {
			if a.partners[p] == nil {
				return fmt.Errorf("credential %s: %w", name, undefinedPartner(p))
			}
		}
	}
	return nil
}

func undefinedPartner(name string) error {
	return fmt.Errorf("idv %q is not defined; add to verified_id: idv %s { url …; org_id … }", name, name)
}

// build applies the defaults and checks everything but the logo, for which it would have to read a file.
func (cfg *IDV) build(name string, options ...idvredirect.URLOption) (*partner, error) {
	if cfg == nil {
		return nil, errors.New("it is empty; give at least url and org_id")
	}
	if !validName(name) {
		return nil, errors.New("the name may have only letters, digits, - and _, at most 32")
	}
	preset, err := cfg.preset()
	if err != nil {
		return nil, err
	}
	if cfg.URL == "" {
		return nil, errors.New("url is missing; " + askFor(preset, "url", "the partner gives it to you at onboarding", "url https://…"))
	}
	if cfg.OrgID == "" {
		return nil, errors.New("org_id is missing; " + askFor(preset, "org_id", "it is agreed with the partner at onboarding", "org_id <id>"))
	}
	for _, text := range []struct {
		option, value string
		atMost        int
	}{
		{"org_id", cfg.OrgID, 256},
		{"audience", cfg.Audience, 2048},
		{"display_name", cfg.DisplayName, 100},
		{"note", cfg.Note, 200},
	} {
		if err := checkText(text.option, text.value, 0, text.atMost); err != nil {
			return nil, err
		}
	}
	parameter := cfg.TokenParameter
	if parameter == "" && !strings.Contains(cfg.URL, "{token}") {
		parameter = "token"
	}
	template, err := idvredirect.ParseURLTemplate(cfg.URL, parameter, options...)
	if err != nil {
		option := "url"
		if cfg.TokenParameter != "" {
			option = "url with token_parameter " + cfg.TokenParameter
		}
		return nil, fmt.Errorf("%s: %s", option, strings.TrimPrefix(err.Error(), idvredirect.ErrURLTemplate.Error()+": "))
	}
	lifetime := time.Duration(cfg.Lifetime)
	if lifetime == 0 {
		lifetime = defaultKickstartLifetime
	}
	if lifetime < 0 || lifetime > maxKickstartLifetime {
		return nil, optionError("lifetime", caddyDuration(lifetime), "must be more than 0 and at most 15m")
	}
	claims := idvredirect.Hardened
	switch cfg.Claims {
	case "", "hardened":
	case "minimal":
		claims = idvredirect.Minimal
	default:
		return nil, optionError("claims", cfg.Claims, "must be hardened or minimal")
	}
	if !slices.Contains([]string{"", "get", methodPost}, cfg.Method) {
		return nil, optionError("method", cfg.Method, "must be get or post")
	}
	if claims == idvredirect.Minimal && cfg.Audience != "" {
		return nil, errors.New("claims minimal carries no audience; remove audience, or write claims hardened")
	}
	out := &partner{displayName: cfg.DisplayName, note: cfg.Note, origin: template.Origin(), post: cfg.Method == methodPost}
	if out.displayName == "" {
		out.displayName = cmp.Or(preset.DisplayName, name)
	}
	out.Partner = idvredirect.Partner{
		Name: name, URL: template, OrgID: cfg.OrgID, Audience: cfg.Audience, Lifetime: lifetime, Claims: claims,
		Issuer: "https://issuer.invalid", // the site's origin takes its place; Validate wants one
	}
	return out, out.Validate()
}

// urlOptions permits partners on loopback over plain HTTP where the whole config is for trying.
func (a *App) urlOptions() []idvredirect.URLOption {
	if a.InsecureLoopbackHTTP {
		return []idvredirect.URLOption{idvredirect.InsecureLoopbackHTTP()}
	}
	return nil
}
