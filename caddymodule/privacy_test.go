// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// answerWith sends a request with a session to an app that answers with the headers.
func answerWith(t *testing.T, g *Gate, header http.Header) http.Header {
	t.Helper()
	_, cookie := sessionOf(g, presentation(g))
	w := httptest.NewRecorder()
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		maps.Copy(w.Header(), header)
		_, err := w.Write([]byte("answer"))
		return err
	})
	if err := g.ServeHTTP(w, request("GET", testOrigin+"/account/x.css", withCookie(cookie)), next); err != nil {
		t.Fatal(err)
	}
	return w.Result().Header
}

// An answer to one person must not be served to another by a cache between. TM-105.
func TestAnswerIsNotShared(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	for app, want := range map[string]string{
		"": "private", "public, max-age=60": "max-age=60, private", "s-maxage=9, max-age=1": "max-age=1, private",
		"no-store": "no-store", "private, max-age=3": "private, max-age=3", "PUBLIC": "private", "max-age=60": "max-age=60, private",
	} {
		header := http.Header{}
		if app != "" {
			header.Set("Cache-Control", app)
		}
		got := answerWith(t, g, header)
		if got.Get("Cache-Control") != want || !slices.Contains(got.Values("Vary"), "Cookie") {
			t.Errorf("Cache-Control %q became %q with Vary %q, want %q and Cookie", app, got.Get("Cache-Control"), got.Values("Vary"), want)
		}
	}
}

// A compromised app tries to set our cookies. TM-011.
func TestAppSetsOurCookie(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	got := answerWith(t, g, http.Header{"Set-Cookie": {
		"theirs=1", g.site.session.Name + "=fixed; Path=/", " " + g.site.binding.Name + "=fixed", "insecure-verified-id=fixed", "__Host-verified-id-other=kept",
	}})
	if lines := got.Values("Set-Cookie"); len(lines) != 2 || lines[0] != "theirs=1" || !strings.HasPrefix(lines[1], "__Host-verified-id-other") {
		t.Errorf("Set-Cookie %q, want the app's own two", lines)
	}
}

// When the app fails, error routes run with the same request; they must not find an identity in it. TM-008.
func TestErrorRouteFindsNoIdentity(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	_, cookie := sessionOf(g, presentation(g))
	r := request("GET", testOrigin+"/", withCookie(cookie))
	next := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		if r.Header.Get("X-Verified-Id-Subject") == "" {
			t.Error("the app got no identity")
		}
		return caddyhttp.Error(http.StatusBadGateway, http.ErrServerClosed)
	})
	if err := g.ServeHTTP(httptest.NewRecorder(), r, next); err == nil {
		t.Fatal("the app's error is gone")
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Verified-Id") {
			t.Errorf("%s is still there for the error route", name)
		}
	}
}
