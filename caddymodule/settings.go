// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

// SessionConfig says how long a verification lasts in the browser.
type SessionConfig struct {
	// Time from the verification to the end of the session. A credential revoked meanwhile is noticed then. Default:
	// 8h. Maximum: 24h.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`

	// Time without a request after which the session ends. Default: 1h, or the lifetime if that is shorter.
	Idle caddy.Duration `json:"idle,omitempty"`

	// Lifetime of sessions whose code may have been scanned with another device. Default: the lifetime.
	CrossDeviceLifetime caddy.Duration `json:"cross_device_lifetime,omitempty"`

	// Domain whose sites share one session, for example corp.example for a.corp.example and b.corp.example: who has
	// verified on one is known on all, each of which still asks for what it demands. All gated sites must lie under it;
	// several nodes need the same sealing keys. Every host under the domain, gated or not, is sent the cookie and can use
	// it, and can plant another in its place: set it only where you trust all of them. To set, change or remove it ends
	// all sessions. Default: each site has a session of its own.
	CookieDomain string `json:"cookie_domain,omitempty"`

	// Never show a QR code: only the wallet on the same device can answer, so nobody can be talked into scanning
	// somebody else's code. Visitors then need the wallet on the device with the browser.
	SameDeviceOnly bool `json:"same_device_only,omitempty"`

	// End a visit whose code is opened a second time before a card was shown, as when two wallets scan it. The visitor is
	// told and begins anew. A wallet that loads the code twice by itself, or a report that the service sends twice, ends
	// the visit too. Default: a second time is only told, as the event presentation_retrieved.
	CancelOnSecondScan bool `json:"cancel_on_second_scan,omitempty"`
}

// Limits are caps on what visitors without a session may cause.
type Limits struct {
	// Presentation requests a minute for one client address (IPv6: for its /64). Default: 5.
	StartsPerClient int `json:"starts_per_client,omitempty"`

	// Presentation requests a second for everybody together. Default: 2, what the Request Service allows a tenant with
	// quick setup.
	StartsPerSecond float64 `json:"starts_per_second,omitempty"`

	// Transactions waiting for a wallet at one time. Default: 10000. Maximum: 100000.
	Pending int `json:"pending,omitempty"`

	// The same for one client address. Default: 20.
	PendingPerClient int `json:"pending_per_client,omitempty"`

	// Open status streams at one time; further pages poll. Default: 10000.
	Streams int `json:"streams,omitempty"`

	// Face Checks a day (UTC), each of which Microsoft bills, passed or failed. A code that is shown holds a place until
	// it can no longer become a Face Check, at most 7 minutes by the service's usual times; when all are taken, nobody new
	// begins, and sessions go on. Counted in this process, and added up in Caddy's storage every 5 seconds. Default: no limit.
	FaceChecksPerDay int `json:"face_checks_per_day,omitempty"`
}

// Pages is how the visitor's pages look.
type Pages struct {
	// Name of the site or organisation at the top of each page. Default: the app's client name.
	Brand string `json:"brand,omitempty"`

	// File with a logo (SVG, PNG or JPEG, at most 256 KiB), shown beside the brand. Default: none.
	Logo string `json:"logo,omitempty"`

	// Accent colour as #rrggbb. Default: a calm blue.
	Colour string `json:"colour,omitempty"`

	// Language of the pages: en or de. Default: en.
	Language string `json:"language,omitempty"`

	// Directory with templates that replace ours, by file name. Default: none.
	Templates string `json:"templates,omitempty"`
}

const (
	defaultSessionLifetime  = 8 * time.Hour
	maxSessionLifetime      = 24 * time.Hour
	defaultSessionIdle      = time.Hour
	defaultStartsPerClient  = 5
	defaultStartsPerSecond  = 2
	defaultPending          = 10_000
	maxPending              = 100_000
	defaultPendingPerClient = 20
	defaultStreams          = 10_000
)

func (a *App) provisionSession() error {
	if a.Session == nil {
		a.Session = &SessionConfig{}
	}
	if err := a.Session.withDefaults(); err != nil {
		return err
	}
	if domain := a.Session.CookieDomain; domain != "" {
		a.logger.Warn("every host under cookie_domain is sent the session, can use it and can plant another; trust all of them",
			zap.String("cookie_domain", domain))
	}
	return nil
}

// withDefaults fills in what the operator left out and checks the rest.
func (s *SessionConfig) withDefaults() error {
	if s.Lifetime == 0 {
		s.Lifetime = caddy.Duration(defaultSessionLifetime)
	}
	if s.Lifetime < 0 || time.Duration(s.Lifetime) > maxSessionLifetime {
		return optionError("session lifetime", caddyDuration(time.Duration(s.Lifetime)), "must be more than 0 and at most 24h")
	}
	if s.Idle == 0 {
		s.Idle = min(caddy.Duration(defaultSessionIdle), s.Lifetime)
	}
	for _, part := range []struct {
		name  string
		value *caddy.Duration
	}{{"idle", &s.Idle}, {"cross_device_lifetime", &s.CrossDeviceLifetime}} {
		if *part.value == 0 {
			*part.value = s.Lifetime
		}
		if *part.value < 0 || *part.value > s.Lifetime {
			return optionError("session "+part.name, caddyDuration(time.Duration(*part.value)),
				"must be more than 0 and at most the session's lifetime, "+caddyDuration(time.Duration(s.Lifetime)))
		}
	}
	if s.CookieDomain != "" {
		return checkCookieDomain(s.CookieDomain)
	}
	return nil
}

// withDefaults fills in what the operator left out and checks the rest.
func (l *Limits) withDefaults() error {
	for _, limit := range []struct {
		name     string
		value    *int
		fallback int
	}{
		{"starts_per_client", &l.StartsPerClient, defaultStartsPerClient},
		{"pending", &l.Pending, defaultPending},
		{"pending_per_client", &l.PendingPerClient, defaultPendingPerClient},
		{"streams", &l.Streams, defaultStreams},
	} {
		if *limit.value == 0 {
			*limit.value = limit.fallback
		}
		if err := checkLimit(limit.name)(*limit.value); err != nil {
			return err
		}
	}
	if l.FaceChecksPerDay != 0 {
		if err := checkLimit("face_checks_per_day")(l.FaceChecksPerDay); err != nil {
			return err
		}
	}
	if l.StartsPerSecond == 0 {
		l.StartsPerSecond = defaultStartsPerSecond
	}
	return checkStartsPerSecond(l.StartsPerSecond)
}

// maxLimits are the highest values of the limits that are whole numbers.
var maxLimits = map[string]int{
	"starts_per_client": 1000, "pending": maxPending, "pending_per_client": maxPending, "streams": 1_000_000, "face_checks_per_day": 1_000_000,
}

func checkLimit(name string) func(int) error {
	return func(value int) error {
		if highest := maxLimits[name]; value < 1 || value > highest {
			return optionError("limits "+name, strconv.Itoa(value), fmt.Sprintf("must be from 1 to %d", highest))
		}
		return nil
	}
}

func checkStartsPerSecond(value float64) error {
	if !(value > 0 && value <= 1000) {
		return optionError("limits starts_per_second", strconv.FormatFloat(value, 'g', -1, 64), "must be more than 0 and at most 1000")
	}
	return nil
}

func (a *App) provisionPages() error {
	p := Pages{}
	if a.Pages != nil {
		p = *a.Pages
	}
	if err := checkText("pages brand", p.Brand, 0, 100); err != nil {
		return err
	}
	if p.Brand == "" {
		p.Brand = a.ClientName
	}
	logo, err := logoDataURI(p.Logo)
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	a.pages, err = page.New(page.Config{
		Brand: p.Brand, Logo: logo, PartnerLogos: a.partnerLogos(), Colour: p.Colour,
		Language: p.Language, TemplatesDir: p.Templates, Logger: a.ctx.Slogger(),
	})
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	return nil
}

var colourPattern = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)

func checkColour(value string) error {
	if !colourPattern.MatchString(value) {
		return optionError("pages colour", value, "must be six hexadecimal digits behind a #, for example \"#1d4ed8\"")
	}
	return nil
}

func (a *App) partnerLogos() map[string]string {
	logos := map[string]string{}
	for name, p := range a.partners {
		if p.logo != "" {
			logos[name] = p.logo
		}
	}
	return logos
}
