// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"cmp"
	"context"
	"embed"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator/internal/frame"
)

//go:embed pages/*.html
var pageFiles embed.FS

// maxFormBytes bounds what a form of ours can be.
const maxFormBytes = 16 << 10

// Partner is an identity-verification partner. It is an [http.Handler] for the root of its own
// origin and safe for concurrent use. Make one with [New].
type Partner struct {
	cfg     Config
	orgs    map[string]*organisation
	service *requestService
	visits  *visits
	pages   *frame.Pages
	handler http.Handler
}

// New returns a partner for a valid configuration. Nothing is fetched until somebody comes.
func New(config Config) (*Partner, error) {
	c := config.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("partner: %w", err)
	}
	p := &Partner{
		cfg:     c,
		orgs:    make(map[string]*organisation, len(c.Organisations)),
		service: &requestService{url: c.ServiceURL, client: c.HTTPClient, tokenClient: c.TokenClient, now: c.Now, grants: map[Account]grant{}},
		visits:  newVisits(),
	}
	for _, o := range c.Organisations {
		org, err := newOrganisation(o, c)
		if err != nil {
			return nil, fmt.Errorf("partner: organisation %q: %w", o.ID, err)
		}
		if _, twice := p.orgs[o.ID]; twice {
			return nil, fmt.Errorf("partner: organisation %q: twice", o.ID)
		}
		p.orgs[o.ID] = org
	}
	role := frame.Role{Name: c.Name, Stands: "an identity-verification company", Home: "/"}
	pages, err := frame.Parse(pageFiles, "pages", role, assetsPath)
	if err != nil {
		return nil, fmt.Errorf("partner: %w", err)
	}
	p.pages = pages
	p.handler = p.routes()
	return p, nil
}

// The partner's own paths begin with /-/, which no organisation's ID does.
const (
	assetsPath   = "/-/assets/"
	visitPath    = "/-/visit/"
	callbackPath = "/-/callback"
)

func (p *Partner) routes() http.Handler {
	pages := http.NewServeMux()
	pages.HandleFunc("GET /{$}", p.home)
	pages.HandleFunc("GET /{org}/{$}", p.arrive)
	pages.Handle("GET "+assetsPath, http.StripPrefix("/-/assets", frame.Assets()))
	pages.HandleFunc("GET "+visitPath+"{id}", p.withVisit(p.show))
	pages.HandleFunc("GET "+visitPath+"{id}/code.png", p.withVisit(p.code))
	pages.HandleFunc("GET "+visitPath+"{id}/portrait.jpg", p.withVisit(p.portrait))
	pages.HandleFunc("GET "+visitPath+"{id}/events", p.withVisit(p.events))
	pages.HandleFunc("POST "+visitPath+"{id}/document", p.withVisit(p.takeDocument))
	pages.HandleFunc("POST "+visitPath+"{id}/selfie", p.withVisit(p.takeSelfie))
	pages.HandleFunc("POST "+visitPath+"{id}/card", p.withVisit(p.makeCard))
	pages.HandleFunc("POST "+visitPath+"{id}/abandon", p.withVisit(p.abandon))
	pages.HandleFunc("/", p.notFound)

	root := http.NewServeMux()
	root.HandleFunc("POST "+callbackPath, p.callback)
	root.Handle("/", frame.SameOrigin(pages))
	if !p.cfg.AllowNonLoopback {
		return frame.ThisMachine(root)
	}
	return root
}

// ServeHTTP answers people and the Request Service.
func (p *Partner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	frame.SecurityHeaders(w.Header()) // here, so that the router's own answers have them too
	r.Body = http.MaxBytesReader(w, r.Body, max(maxFormBytes, maxCallbackBytes))
	p.handler.ServeHTTP(w, r)
}

// home is for people who look around: nobody begins here.
func (p *Partner) home(w http.ResponseWriter, _ *http.Request) {
	type row struct {
		ID, Name, Keys string
		Mode           Mode
		RedirectURLs   []string
	}
	var rows []row
	for id, o := range p.orgs {
		keys := o.JWKSURL
		if keys == "" {
			keys = "a key handed over in advance"
		}
		rows = append(rows, row{id, o.Name, keys, o.Mode, o.RedirectURLs})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.ID, b.ID) })
	p.pages.Write(w, http.StatusOK, "home", frame.Head{Title: "Nobody begins here"}, struct {
		PublicURL     string
		Organisations []row
	}{p.cfg.PublicURL, rows})
}

func (p *Partner) notFound(w http.ResponseWriter, _ *http.Request) {
	p.pages.Write(w, http.StatusNotFound, "notfound", frame.Head{Title: "Nothing here"}, nil)
}

// withVisit finds the visit named in the path. The id is unguessable and stands for a cookie:
// on localhost a cookie would travel to every other port too.
func (p *Partner) withVisit(next func(http.ResponseWriter, *http.Request, visit)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, ok := p.visits.get(r.PathValue("id"), p.cfg.Now())
		if !ok {
			p.notFound(w, r)
			return
		}
		next(w, r, v)
	}
}

// seeVisit sends the browser to the visit's page, so that reloading repeats nothing.
func seeVisit(w http.ResponseWriter, r *http.Request, id string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, visitPath+id, http.StatusSeeOther)
}

// randomText returns 128 bits as base64url.
func (p *Partner) randomText() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(p.cfg.Rand, b[:]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

func (p *Partner) log(ctx context.Context, msg string, v visit, attrs ...slog.Attr) {
	if v.org == nil {
		return // the visit ended meanwhile
	}
	attrs = append([]slog.Attr{
		slog.String("organisation", v.org.ID),
		slog.String("stage", string(v.stage)),
		slog.Duration("after", p.cfg.Now().Sub(v.begun).Round(time.Second)),
	}, attrs...)
	p.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, msg, attrs...)
}
