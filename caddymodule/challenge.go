// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
	"github.com/caddy-verified-id/caddy-verified-id/internal/returnpath"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// What error routes and {err.message} get to see: codes, never what a visitor sent (TM-146).
var (
	errEmptyHost = errors.New("empty host")
	errPanic     = errors.New("internal error")
	// errNotLoopback: plain HTTP is for this machine only.
	errNotLoopback = errors.New("not a loopback host")
	// errAssertion: what the app relies on cannot be made.
	errAssertion = errors.New("no assertion")
)

// challenge answers a request that may not pass: a page load goes to the start page, all else gets 401 and where to start.
// It reads no body and asks nobody. Nothing runs after it (TM-113, TM-114).
func (g *Gate) challenge(w http.ResponseWriter, r *http.Request, refusal verifier.Reason) error {
	header := w.Header()
	lockDown(header)
	header.Add("Vary", "Cookie")
	load := isPageLoad(r)
	// A dead cookie goes (TM-034); but a script may still ask with it while the visitor gets a new one. That of a session that only
	// rests stays: by it the next verification, or the way out, ends the session for whoever has a copy (TM-033, TM-155).
	dead := refusal == sessionRevoked || refusal == sessionExpired && g.site.restingSession(r, g.app.now()) == nil
	if dead && load {
		g.site.session.Clear(header)
		vouch(w)
	}
	if c := g.logger.Check(zapcore.DebugLevel, "challenge"); c != nil {
		c.Write(reasonField(refusal))
	}
	if load {
		header.Set("Location", g.startURL(returnTo(r), refusal))
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	if !g.startsFrom(r) { // the start page says so itself
		refusal = outsideNetwork
	}
	header.Set("Www-Authenticate", g.authenticate(refusal))
	if isForm(r) {
		g.explainForm(w, r, refusal)
		return nil
	}
	body, err := json.Marshal(g.problem(refusal))
	if err != nil {
		return caddyhttp.Error(http.StatusUnauthorized, err)
	}
	header.Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusUnauthorized)
	if r.Method != http.MethodHead {
		_, err = w.Write(body)
	}
	return err
}

// explainForm answers a form that a person has sent with a page for people: what they sent is kept nowhere and not passed on,
// and the way leads back to the page with the form.
func (g *Gate) explainForm(w http.ResponseWriter, r *http.Request, refusal verifier.Reason) {
	v := &visitRequest{site: g.site, gate: g, logger: g.logger, w: w, r: r, now: g.app.now(), vector: newVector()}
	meta, kind := v.meta(), page.ProblemNotSent
	if refusal == outsideNetwork {
		refusal, kind = noSession, page.ProblemNetwork
	}
	meta.StartPath = g.startURL(g.formPage(r), refusal)
	g.app.pages.Problem(w, page.Problem{Meta: meta, Kind: kind, Status: http.StatusUnauthorized})
}

// formPage is the page of this site from which a form came, if the browser says so, or else the site's first page.
func (g *Gate) formPage(r *http.Request) string {
	from, ours := strings.CutPrefix(r.Header.Get("Referer"), g.site.origin.url)
	if !ours || !strings.HasPrefix(from, "/") {
		return "/"
	}
	path, _ := returnpath.Check(from)
	if returnpath.Own(path, basePath) {
		return "/"
	}
	return path
}

// isForm says whether a person has sent a form and is looking at the answer.
func isForm(r *http.Request) bool {
	if r.Method != http.MethodPost || r.Header.Get("X-Requested-With") != "" {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	form := mediaType == "application/x-www-form-urlencoded" || mediaType == "multipart/form-data"
	return err == nil && form && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// lockDown sets what every answer of ours has that is no page: it is kept nowhere, framed nowhere, and no other site can use
// it (TM-101, TM-104).
func lockDown(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
}

// startURL is the start page's address for this gate, with the sealed visit.
func (g *Gate) startURL(returnTo string, refusal verifier.Reason) string {
	v := visit{Gate: g.id, ReturnTo: returnTo, Made: g.app.now().UTC()}
	if refusal != noSession {
		v.Reason = string(refusal)
	}
	return basePath + "/start?v=" + url.QueryEscape(g.site.sealVisit(v))
}

// returnTo is the page that the visitor asked for, if it is one that a redirect may name.
func returnTo(r *http.Request) string {
	path, _ := returnpath.Check(originalURL(r).RequestURI())
	if returnpath.Own(path, basePath) {
		return "/"
	}
	return path
}

// originalURL is the request's address before rewrites (a try_files before us shows /index.html for everything).
func originalURL(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL
	}
	return r.URL
}

// isPageLoad says whether a person is looking at the answer: a navigation of the top-level window. Scripts must not be
// redirected, or they take our page for the app's answer (TM-111).
func isPageLoad(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		dest := r.Header.Get("Sec-Fetch-Dest")
		return mode == "navigate" && (dest == "document" || dest == "")
	}
	if r.Header.Get("X-Requested-With") != "" || r.Header.Get("Upgrade") != "" {
		return false
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
