// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Logging out ends the session on the server: a copy of the cookie that somebody kept is worth nothing afterwards.
func TestLogoutEndsTheSessionForCopiesToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t)
	w.enter(v, "/payroll")
	kept := v.cookies()
	if len(kept) == 0 {
		t.Fatal("the visitor has no cookies")
	}
	thief := newVisitor(t)
	thief.setCookies(kept)
	thief.open(w.origin + "/payroll")
	thief.see(inTheApp) // a copied session is a session, before the logout

	v.open(w.origin + "/.verified-id/logout")
	v.click(logoutButton)
	v.see(signInAgain)
	v.open(w.origin + "/payroll")
	v.see(haveCard)

	thief.open(w.origin + "/payroll?after")
	thief.see(haveCard)
}

// Who am I, and what does this site know of me? The page says it, and leads out.
func TestVisitorSeesWhatTheSiteKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t)
	w.enter(v, "/payroll")

	v.open(w.origin + "/.verified-id/session")
	if got := v.read("main"); !strings.Contains(got, "Ana Lima") || strings.Contains(got, "ana.lima@contoso.example") {
		t.Errorf("the page says %q, want the one claim that the site keeps", got)
	}
	v.click(logoutButton)
	v.see(signInAgain)
	v.open(w.origin + "/payroll")
	v.see(haveCard)
}

// cookies returns all cookies that the visitor's browser has.
func (v *visitor) cookies() []*network.Cookie {
	v.t.Helper()
	var cookies []*network.Cookie
	v.do("reading the cookies", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		result, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{})
		cookies = result.Cookies
		return err
	}))
	return cookies
}

// setCookies puts copies of another browser's cookies into this one.
func (v *visitor) setCookies(cookies []*network.Cookie) {
	v.t.Helper()
	for _, c := range cookies {
		v.do("setting a cookie", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{
				Name: c.Name, Value: c.Value, Domain: c.Domain, Path: c.Path, Secure: &c.Secure, HTTPOnly: &c.HTTPOnly,
				SameSite: c.SameSite, URL: "https://localhost/",
			})
			return err
		}))
	}
}
