// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// strippedVar marks a request whose identity headers a gate has removed, so that a second gate in the chain does not
// remove what the first has set.
const strippedVar = "verified_id.stripped"

// cookiesVar keeps the Cookie header as the client sent it, once a gate has taken ours out of the request.
const cookiesVar = "verified_id.cookies"

// cookiesOf is the header in which to look for our cookies.
func cookiesOf(r *http.Request) http.Header {
	if received, ok := caddyhttp.GetVar(r.Context(), cookiesVar).(http.Header); ok {
		return received
	}
	return r.Header
}

// takeCookies takes our cookies out of the request and remembers them for a gate further on.
func takeCookies(r *http.Request) {
	if lines := r.Header["Cookie"]; len(lines) > 0 && caddyhttp.GetVar(r.Context(), cookiesVar) == nil {
		caddyhttp.SetVar(r.Context(), cookiesVar, http.Header{"Cookie": slices.Clone(lines)})
	}
	session.StripCookies(r.Header, ownCookie)
}

// ServeHTTP decides one request: strip what the client says about itself, serve our own endpoints, and let the rest
// through only with a session that meets this gate.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	onward, err := g.admit(w, r)
	if g.app.observe != nil {
		g.app.observe(g, r, onward != nil)
	}
	if err != nil || onward == nil {
		return err
	}
	defer onward.passage.leave()
	return g.forward(onward, onward.passage.stoppable(r), next)
}

// admit returns the writer with which the next handler answers, or nil when it has answered itself. A panic of ours is an
// error and a closed gate (TM-124).
func (g *Gate) admit(w http.ResponseWriter, r *http.Request) (onward *answerWriter, err error) {
	defer func() {
		if p := recover(); p != nil {
			g.logger.Error("panic", zap.String("type", fmt.Sprintf("%T", p)), zap.Stack("stack"))
			onward, err = nil, caddyhttp.Error(http.StatusInternalServerError, errPanic)
		}
	}()
	if caddyhttp.GetVar(r.Context(), strippedVar) == nil {
		g.app.gates.stripFrom(r.Header)
		claimheader.HopByHop(r)
		caddyhttp.SetVar(r.Context(), strippedVar, true)
	}
	if r.Host == "" { // an empty host skips routes and so decisions elsewhere; nothing good comes without one (TM-118)
		return nil, caddyhttp.Error(http.StatusBadRequest, errEmptyHost)
	}
	if !g.site.origin.secure && !isLoopback(hostname(r.Host)) { // cookies without Secure are for this machine only (TM-019)
		return nil, caddyhttp.Error(http.StatusMisdirectedRequest, errNotLoopback)
	}
	if path, own := ownPath(r); own {
		g.serveEndpoint(w, r, path)
		return nil, nil
	}
	applies, err := g.applies(r)
	if err != nil {
		return nil, err
	}
	answer := &answerWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	if !applies {
		return answer, nil
	}
	if g.isPublic(r) || (g.Preflight && isPreflight(r)) {
		g.passAnonymous(r)
		return answer, nil
	}

	now := g.app.now()
	held, ended := g.site.openSession(r, now)
	id, refusal := g.decide(r, held, now)
	if held == nil {
		refusal = ended
	}
	switch {
	case refusal == "":
		if err := g.handOver(r, id, now); err != nil {
			return nil, err
		}
		setPlaceholders(r, id)
		answer.private, answer.renew = true, g.renewal(held, now)
		if !g.ReportOnly { // which lets everybody pass, and for as long as they like
			g.app.store.passages.enter(&answer.passage, g, id, w, now)
		}
		return answer, nil
	case g.ReportOnly:
		g.report(r, refusal)
		g.passAnonymous(r)
		return answer, nil
	case g.Optional:
		g.passAnonymous(r)
		return answer, nil
	}
	return nil, g.challenge(w, r, refusal)
}

// passAnonymous lets a request on as nobody, whoever an outer gate let in (TM-007), and without headers in which some apps read
// another address than the one we have judged (TM-108).
func (g *Gate) passAnonymous(r *http.Request) {
	g.app.gates.stripFrom(r.Header)
	if outer, ok := caddyhttp.GetVar(r.Context(), identityVar).(*identity); ok {
		*outer = identity{}
	}
	for _, name := range []string{"X-Original-Url", "X-Rewrite-Url"} {
		r.Header.Del(name)
	}
}

// applies asks the matchers, about the request as it is now and, where it was rewritten before us, as it came: with
// try_files in the site every page is /index.html by now, and a matcher for /app/* must still hold.
func (g *Gate) applies(r *http.Request) (bool, error) {
	if len(g.matchers) == 0 || ambiguousPath(originalURL(r)) {
		return true, nil // what an app makes of such a path is anybody's guess, a matcher's included (TM-107)
	}
	now, err := g.matchers.AnyMatchWithError(r)
	original := originalURL(r)
	if now || err != nil || original == r.URL || *original == *r.URL {
		return now, err
	}
	asItCame := new(http.Request)
	*asItCame = *r
	asItCame.URL = original
	return g.matchers.AnyMatchWithError(asItCame)
}

// forward hands the request to the next handler without our cookies (TM-010), which are remembered for a second gate
// behind this one. When that fails, what runs next are the site's error routes; they must not find an identity (TM-008).
func (g *Gate) forward(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	takeCookies(r)
	err := next.ServeHTTP(w, r)
	if err != nil {
		g.app.gates.stripFrom(r.Header)
	}
	return err
}

// decide asks the session whether it meets this gate now. Any one of the credentials will do; the refusal is the one that is
// nearest to passing.
func (g *Gate) decide(r *http.Request, held *session.Session, now time.Time) (identity, verifier.Reason) {
	if held == nil {
		return identity{}, noSession
	}
	bound, ok := g.bound(r)
	if !ok {
		return identity{}, bindMissing
	}
	refusal := verifier.ReasonOtherCredential
	for w := range g.wants {
		for p := range held.Presentations {
			presentation := &held.Presentations[p]
			if presentation.Credential != g.wants[w].credential.name {
				continue
			}
			reason := g.wants[w].demand().Meets(presentation, time.Duration(g.MaxAge), now)
			if g.Bind != nil {
				if value, has := presentation.Claim(g.Bind.Claim); !has || value != bound {
					reason = bindMismatch
				}
			}
			if reason == "" {
				return identity{held, presentation, g.wants[w].demand()}, ""
			}
			refusal = nearer(refusal, reason)
		}
	}
	return identity{}, refusal
}

// maxBound is the longest value that bind compares, in bytes; a transaction keeps it, and the service is sent it.
const maxBound = 512

// bound is the value of this request that the presented claim must equal. Not ok: there is none, or one that is nobody's
// name: blank, longer than maxBound, or with bytes that do not survive the way to the wallet and back.
func (g *Gate) bound(r *http.Request) (string, bool) {
	if g.Bind == nil {
		return "", true
	}
	repl := replacerOf(r)
	value, err := repl.ReplaceOrErr(g.Bind.Value, true, true) // {user}@contoso.com without a user is no value either
	return value, err == nil && strings.TrimSpace(value) != "" && len(value) <= maxBound &&
		utf8.ValidString(value) && !strings.ContainsFunc(value, unicode.IsControl)
}

// isPublic says whether the path is one that the operator left open. Only plainly spelled paths count, so that what we
// read and what the app reads cannot differ (TM-107).
func (g *Gate) isPublic(r *http.Request) bool {
	if len(g.Public) == 0 {
		return false
	}
	return g.listsPublic(originalURL(r).EscapedPath()) && g.listsPublic(r.URL.EscapedPath()) // also after a rewrite
}

func (g *Gate) listsPublic(path string) bool {
	return plainPath(path) && slices.ContainsFunc(g.Public, func(public string) bool {
		if prefix, ok := strings.CutSuffix(public, "/*"); ok {
			return strings.HasPrefix(path, prefix+"/")
		}
		return path == public
	})
}

// ambiguousPath is one in which Caddy's matchers and some app may read different paths: with parameters, backslashes, encoded
// separators, a second encoding, dot segments (the matchers resolve them, the proxy does not), or no slash at its beginning.
func ambiguousPath(u *url.URL) bool {
	path := u.RawPath // as it was written, also where it has a character that would be spelled anew
	if path == "" {
		path = u.EscapedPath()
	}
	if !strings.HasPrefix(path, "/") {
		return true
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	lower := strings.ToLower(path)
	for _, odd := range []string{";", `\`, "%5c", "%2f", "%25", "%3b", "%00", "#", "%23"} {
		if strings.Contains(lower, odd) {
			return true
		}
	}
	return false
}

// plainPath is a path that all parsers read alike.
func plainPath(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || strings.Contains(path, "/.") {
		return false
	}
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '%' || c == '\\' || c == ';' || c == '#' {
			return false
		}
	}
	return true
}

// replacerOf is the request's replacer, which Caddy's server gives to every request.
func replacerOf(r *http.Request) *caddy.Replacer {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return caddy.NewReplacer()
	}
	return repl
}

// report tells, in report-only mode, who would have been refused.
func (g *Gate) report(r *http.Request, refusal verifier.Reason) {
	g.app.metrics.reports.WithLabelValues(string(refusal)).Inc()
	repl := replacerOf(r)
	repl.Set("http.verified_id.refusal", string(refusal))
	if c := g.logger.Check(zapcore.InfoLevel, "would refuse"); c != nil {
		c.Write(zap.String("reason", string(refusal)))
	}
}
