// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
	"github.com/caddy-verified-id/caddy-verified-id/internal/returnpath"
)

// Why another proxy's question is not answered. Operators read these in the log; the asking side gets 403.
var (
	errNotForProxies   = errors.New("another proxy asks and the app is not told to answer; if that is meant, write forward_auth into the global option verified_id")
	errAskerNotTrusted = errors.New("the asking proxy is not trusted; add its address to the global option servers { trusted_proxies … }")
	errAskedTwice      = errors.New("the question needs X-Forwarded-Method, X-Forwarded-Host and X-Forwarded-Uri, each exactly once; " +
		"the asking proxy must set them, in place of what its client sent")
	errAskedURI  = errors.New("X-Forwarded-Uri is not the path and query of a request")
	errAskedOwn  = errors.New("the question is about our own pages; the asking proxy must lead " + basePath + "/ here without asking")
	errAskedHost = errors.New("X-Forwarded-Host is not the site's host; see public_url")
	errNoGate    = errors.New("no gate of this server is for the site asked about")
	errInBlock   = errors.New("a gate of the site stands inside a block, such as handle /app/*, where only requests that really come " +
		"by can find it; write it at the level of the site, with the matcher")
	errDerived = errors.New("a matcher of a gate of the site reads a variable or a placeholder that another handler sets, such as vars or " +
		"map, which have seen the question and not the request; match the request itself")
)

// auth answers another proxy that asks whether it may let a request through (nginx auth_request, Traefik, Envoy, another Caddy's
// forward_auth): 200 with the identity headers for the app, or the refusal that the request itself would have got. The whole
// policy of the site decides, about the request as the proxy tells it in X-Forwarded-Method, -Host and -Uri.
//
// Who writes these headers decides which request is judged, so only proxies that Caddy trusts may (TM-108). A visitor who calls
// this address by way of such a proxy, a CDN for one, learns what is theirs: also the assertion, which is for the app alone.
// Therefore nobody is answered without the option forward_auth.
//
// With the query status=401 a page load is refused with 401 instead of 303, and Location says where to begin: nginx takes
// a redirect for a failure.
func (v *visitRequest) auth() {
	if v.r.Header["X-Forwarded-Uri"] == nil {
		v.problem(page.ProblemNotFound)
		return
	}
	asked, err := v.asked()
	if err != nil {
		v.refuseToAnswer(err)
		return
	}
	gates, err := v.app.gates.guarding(v.gate, asked)
	if err != nil {
		v.refuseToAnswer(err)
		return
	}
	answer := v.w
	if originalURL(v.r).RawQuery == "status=401" {
		answer = &unauthorizedWriter{caddyhttp.ResponseWriterWrapper{ResponseWriter: answer}}
	}
	for _, gate := range gates {
		onward, err := gate.admit(answer, asked)
		if err != nil {
			v.log(zapcore.ErrorLevel, "asked by another proxy", zap.Error(err))
			v.problem(page.ProblemInternal)
			return
		}
		if onward == nil {
			return // it has refused
		}
		defer onward.passage.leave()
		answer = onward
	}
	lockDown(answer.Header())
	v.app.gates.copyIdentity(answer.Header(), asked.Header)
	answer.Header().Set("Content-Length", "0")
	answer.WriteHeader(http.StatusOK) // Envoy takes no other status for a yes
	_ = http.NewResponseController(answer).Flush()
	v.app.gates.stripFrom(answer.Header()) // they are sent; Caddy's access log prints what is left (TM-142)
}

// refuseToAnswer is for questions that no right setup asks. It is closed, and the log says how to mend it.
func (v *visitRequest) refuseToAnswer(err error) {
	v.log(zapcore.WarnLevel, "another proxy's question is not answered", zap.Error(err))
	v.problem(page.ProblemForbidden)
}

// asked is the request that the other proxy asks about. Matchers and placeholders see it in place of the question.
func (v *visitRequest) asked() (*http.Request, error) {
	if !v.app.ForwardAuth {
		return nil, errNotForProxies
	}
	if trusted, ok := caddyhttp.GetVar(v.r.Context(), caddyhttp.TrustedProxyVarKey).(bool); !ok || !trusted {
		return nil, errAskerNotTrusted
	}
	var told [3]string
	for i, name := range [...]string{"X-Forwarded-Method", "X-Forwarded-Host", "X-Forwarded-Uri"} {
		lines := v.r.Header[name]
		if len(lines) != 1 || lines[0] == "" {
			return nil, errAskedTwice
		}
		told[i] = lines[0]
	}
	method, host, target := told[0], told[1], told[2]
	if strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c == 0x7f }) || target[0] != '/' {
		return nil, errAskedURI
	}
	uri, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, errAskedURI // the parser's own error repeats it
	}
	if returnpath.Own(target, basePath) || strings.HasPrefix(uri.Path, basePath+"/") {
		return nil, errAskedOwn
	}

	r := *v.r
	r.Method, r.Host, r.URL, r.RequestURI = method, host, uri, target
	r.Body, r.ContentLength = http.NoBody, 0
	server, _ := v.r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	repl := caddy.NewReplacer()
	out := caddyhttp.PrepareRequest(&r, repl, v.w, server)
	if vars, ok := out.Context().Value(caddyhttp.VarsCtxKey).(map[string]any); ok {
		earlier, _ := v.r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
		maps.Copy(vars, earlier)
	}
	// What logins and others before us have found out about the question holds for the request, {http.auth.user.id} for one.
	found := replacerOf(v.r)
	repl.Map(func(key string) (any, bool) {
		if strings.HasPrefix(key, "http.request.") {
			return nil, false
		}
		return found.Get(key)
	})
	return out, nil
}

// guarding are the gates that the request would meet on the server of the gate that was asked, in their order.
func (r *gateRegistry) guarding(asked *Gate, request *http.Request) ([]*Gate, error) {
	var out []*Gate
	for _, g := range r.placed(asked.place.server) {
		takes, err := g.place.takes(request)
		switch {
		case err != nil:
			return nil, err
		case !takes:
		case g.place.inBlock || len(g.place.routes) == 0:
			return nil, errInBlock
		case g.place.derived:
			return nil, errDerived
		case !strings.EqualFold(strings.TrimSuffix(hostname(request.Host), "."), g.site.origin.host):
			return nil, errAskedHost
		default:
			out = append(out, g)
		}
	}
	if len(out) == 0 {
		return nil, errNoGate
	}
	return out, nil
}

// unauthorizedWriter makes a redirect a refusal that names the same address.
type unauthorizedWriter struct {
	caddyhttp.ResponseWriterWrapper
}

// WriteHeader implements http.ResponseWriter.
func (w *unauthorizedWriter) WriteHeader(status int) {
	if status == http.StatusSeeOther {
		status = http.StatusUnauthorized
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}
