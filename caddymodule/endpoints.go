// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// endpoint is one of our own addresses under basePath. Everything else there is 404 from us and never the app's (TM-106).
type endpoint struct {
	path    string
	methods []string // empty: any
	serve   func(*visitRequest)
	// sameOrigin marks what must come from our own pages (TM-031).
	sameOrigin bool
}

var (
	get  = []string{http.MethodGet, http.MethodHead}
	post = []string{http.MethodPost}
)

var endpoints []endpoint

func init() {
	endpoints = []endpoint{
		{path: "/start", methods: get, serve: (*visitRequest).start},
		{path: "/request", methods: post, serve: (*visitRequest).request, sameOrigin: true},
		{path: "/wait", methods: get, serve: (*visitRequest).wait},
		{path: "/events", methods: get, serve: (*visitRequest).events},
		{path: "/status", methods: get, serve: (*visitRequest).status},
		{path: "/callback", methods: post, serve: (*visitRequest).callback},
		{path: "/finish", methods: post, serve: (*visitRequest).finish, sameOrigin: true},
		{path: "/done", methods: get, serve: (*visitRequest).done},
		{path: "/idv", methods: post, serve: (*visitRequest).idv, sameOrigin: true},
		{path: "/return", methods: get, serve: (*visitRequest).returned},
		{path: "/" + page.AppScript, methods: get, serve: (*visitRequest).appScript},
		{path: "/jwks.json", methods: get, serve: (*visitRequest).jwks},
		{path: "/session", methods: get, serve: (*visitRequest).whoAmI},
		{path: "/logout", methods: get, serve: (*visitRequest).confirmLogout},
		{path: "/logout", methods: post, serve: (*visitRequest).logout, sameOrigin: true},
		{path: "/auth", serve: (*visitRequest).auth}, // Envoy asks with the method that it asks about
	}
}

// visitRequest is one request to one of our endpoints.
type visitRequest struct {
	*site
	gate   *Gate // the gate that serves; the visit may belong to another one
	logger *zap.Logger
	w      http.ResponseWriter
	r      *http.Request
	now    time.Time
	// vector is the correlation vector of the visit, shown as the support code.
	vector string
	// popup is the id of the window that an app has opened for the visit. Empty: the visit has the person's own window.
	popup string
}

// ownPath says whether the original request is for us, and for what.
func ownPath(r *http.Request) (string, bool) {
	u := originalURL(r)
	rest, ok := strings.CutPrefix(u.Path, basePath)
	if !ok || (rest != "" && rest[0] != '/') {
		return "", false
	}
	if u.RawPath != "" && u.RawPath != u.Path { // an encoded spelling of ours is nobody's
		return "", true
	}
	return rest, true
}

// serveEndpoint answers a request under basePath. It never calls the next handler.
func (g *Gate) serveEndpoint(w http.ResponseWriter, r *http.Request, path string) {
	v := &visitRequest{site: g.site, gate: g, logger: g.logger, w: w, r: r, now: g.app.now()}
	if rest, ok := strings.CutPrefix(path, "/assets/"); ok && slices.Contains(get, r.Method) && g.app.pages.ServeAsset(w, rest) {
		return
	}
	for _, e := range endpoints {
		if e.path != path || (len(e.methods) > 0 && !slices.Contains(e.methods, r.Method)) {
			continue
		}
		if e.sameOrigin && !v.fromOurPages() {
			v.problem(page.ProblemForbidden)
			return
		}
		e.serve(v)
		return
	}
	v.problem(page.ProblemNotFound)
}

// fromOurPages says whether one of our own pages made the request: the browser says so, or its Origin is ours. With
// neither it is refused (TM-031).
func (v *visitRequest) fromOurPages() bool {
	if fetchSite := v.r.Header.Get("Sec-Fetch-Site"); fetchSite != "" {
		return fetchSite == "same-origin"
	}
	return v.r.Header.Get("Origin") == v.origin.url
}

// crossSite says whether another site made the request, so that what we answer must not be readable there (TM-080).
func (v *visitRequest) crossSite() bool {
	fetchSite := v.r.Header.Get("Sec-Fetch-Site")
	return fetchSite != "" && fetchSite != "same-origin" && fetchSite != "none"
}

// maxForm bounds the forms of our pages, in bytes.
const maxForm = 16 << 10

// form reads the fields of one of our forms.
func (v *visitRequest) form() bool {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	if !v.readInTime() {
		return false
	}
	err := v.r.ParseForm()
	v.readWithoutHaste()
	if err != nil {
		v.problem(page.ProblemBadRequest)
		return false
	}
	return true
}

// readInTime lets the body be read for a while only. Not every server knows read deadlines; Caddy's own time-outs hold then.
func (v *visitRequest) readInTime() bool {
	err := http.NewResponseController(v.w).SetReadDeadline(time.Now().Add(patience.Body))
	return err == nil || errors.Is(err, http.ErrNotSupported)
}

// readWithoutHaste ends that: a deadline that passes later would end the request, for it is how net/http watches the connection.
func (v *visitRequest) readWithoutHaste() {
	_ = http.NewResponseController(v.w).SetReadDeadline(time.Time{})
}

// formVisit opens the page token of a form and checks that this browser's page made it.
func (v *visitRequest) formVisit() (visit, []byte, bool) {
	binding, bound := v.boundTo(v.r)
	if !bound {
		v.problem(page.ProblemCookies)
		return visit{}, nil, false
	}
	token, ok := v.openVisit(v.r.PostFormValue("token"), v.now)
	if !ok || token.Browser != shortHash(binding) {
		v.problem(page.ProblemExpired)
		return visit{}, nil, false
	}
	v.vector, v.popup = token.Vector, popupOf(token.ReturnTo)
	return token, binding, true
}

// meta is what every page needs.
func (v *visitRequest) meta() page.Meta {
	return page.Meta{
		Base: basePath, Site: v.app.ClientName, SupportCode: v.vector, FormActions: v.app.partnerOrigins(), Popup: v.popup,
	}
}

func (v *visitRequest) problem(kind string) { v.problemAfter(kind, 0) }

func (v *visitRequest) problemAfter(kind string, wait time.Duration) {
	if v.vector == "" {
		v.vector = newVector()
	}
	meta := v.meta()
	meta.RetryAfter = int((wait + time.Second - 1) / time.Second)
	v.app.pages.Problem(v.w, page.Problem{Meta: meta, Kind: kind})
}

// write ends an answer. Where it fails the reader has gone, and there is nobody to tell.
func (v *visitRequest) write(body []byte) {
	_, err := v.w.Write(body)
	if err != nil {
		v.log(zapcore.DebugLevel, "writing an answer", zap.Error(err))
	}
}

// storeProblem answers what needs the store while it does not answer. Cookies stay (TM-129, TM-130).
func (v *visitRequest) storeProblem(err error, doing string) {
	if errors.Is(err, verifier.ErrNotFound) {
		v.problem(page.ProblemExpired)
		return
	}
	v.log(v.outageLevel(err), doing, zap.Error(err))
	v.problemAfter(page.ProblemStore, 5*time.Second)
}

// left says whether a call ended because whoever asked has gone. That says nothing of the store, and anybody can do it as often as
// they like: no operator is to be woken by it.
func (v *visitRequest) left(err error) bool {
	return v.r.Context().Err() != nil && errors.Is(err, context.Canceled)
}

func (v *visitRequest) outageLevel(err error) zapcore.Level {
	if v.left(err) {
		return zapcore.DebugLevel
	}
	return zapcore.ErrorLevel
}

// log writes one line about this visit: never a claim, a secret or a whole address.
func (v *visitRequest) log(level zapcore.Level, message string, fields ...zap.Field) {
	if c := v.logger.Check(level, message); c != nil {
		c.Write(append(fields, zap.String("correlation_vector", v.vector))...)
	}
}

func reasonField(reason verifier.Reason) zap.Field { return zap.String("reason", string(reason)) }
