// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// The attributes are what keeps scripts, sibling sites and other sites' forms away from the cookie (TM-018).
func TestCookieAttributes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		config session.CookieConfig
		maxAge time.Duration
		want   string
	}{
		{
			"host",
			session.CookieConfig{Name: "__Host-vid", Secure: true},
			8 * time.Hour,
			"__Host-vid=v; Path=/; Max-Age=28800; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"until the browser closes",
			session.CookieConfig{Name: "__Host-vid", Secure: true},
			0,
			"__Host-vid=v; Path=/; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"less than a second",
			session.CookieConfig{Name: "__Host-vid", Secure: true},
			time.Millisecond,
			"__Host-vid=v; Path=/; Max-Age=1; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"negative",
			session.CookieConfig{Name: "__Host-vid", Secure: true},
			-time.Hour,
			"__Host-vid=v; Path=/; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"sibling sites",
			session.CookieConfig{Name: "__Secure-vid", Secure: true, Domain: "corp.example"},
			time.Minute,
			"__Secure-vid=v; Path=/; Domain=corp.example; Max-Age=60; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"loopback",
			session.CookieConfig{Name: "vid-insecure"},
			time.Minute,
			"vid-insecure=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax",
		},
	}
	for _, tt := range tests {
		h := make(http.Header)
		if err := tt.config.Set(h, "v", tt.maxAge); err != nil {
			t.Errorf("%s: Set() = %v", tt.name, err)
		}
		if got := h["Set-Cookie"]; !slices.Equal(got, []string{tt.want}) {
			t.Errorf("%s: Set-Cookie = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestClearCookie(t *testing.T) {
	t.Parallel()
	h := make(http.Header)
	session.CookieConfig{Name: "__Host-vid", Secure: true}.Clear(h)
	want := "__Host-vid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
	if got := h.Get("Set-Cookie"); got != want {
		t.Errorf("Set-Cookie = %q, want %q", got, want)
	}
	session.CookieConfig{Name: "bad name"}.Clear(h)
	if got := len(h["Set-Cookie"]); got != 1 {
		t.Errorf("%d cookies after clearing with a bad config, want 1", got)
	}
}

// Two Set-Cookie lines of one name are resolved differently by different browsers. The last decision counts.
func TestLaterCookieReplacesEarlierOfSameName(t *testing.T) {
	t.Parallel()
	c := session.CookieConfig{Name: "__Host-vid", Secure: true}
	h := http.Header{"Set-Cookie": {"app=1", "__Host-vid2=x"}}
	c.Clear(h)
	if err := c.Set(h, "new", 0); err != nil {
		t.Fatal(err)
	}
	want := []string{"app=1", "__Host-vid2=x", "__Host-vid=new; Path=/; HttpOnly; Secure; SameSite=Lax"}
	if got := h["Set-Cookie"]; !slices.Equal(got, want) {
		t.Errorf("Set-Cookie = %q, want %q", got, want)
	}
}

// A browser ignores a cookie whose name promises more than its attributes hold, so nobody would stay signed in; or the name
// promises nothing and any sibling could set it (TM-018, TM-019).
func TestCookieConfigIsOneOfThreeKinds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		config session.CookieConfig
		ok     bool
	}{
		{"host", session.CookieConfig{Name: "__Host-vid", Secure: true}, true},
		{"host, not secure", session.CookieConfig{Name: "__Host-vid"}, false},
		{"host with a domain", session.CookieConfig{Name: "__Host-vid", Secure: true, Domain: "corp.example"}, false},
		{"sibling sites", session.CookieConfig{Name: "__Secure-vid", Secure: true, Domain: "corp.example"}, true},
		{"sibling sites, no domain", session.CookieConfig{Name: "__Secure-vid", Secure: true}, false},
		{"sibling sites, not secure", session.CookieConfig{Name: "__Secure-vid", Domain: "corp.example"}, false},
		{"secure without prefix", session.CookieConfig{Name: "vid", Secure: true}, false},
		{"domain without prefix", session.CookieConfig{Name: "vid", Domain: "corp.example"}, false},
		{"loopback", session.CookieConfig{Name: "vid"}, true},
		{"prefix in lower case", session.CookieConfig{Name: "__host-vid", Secure: true}, false},
		{"prefix in lower case, loopback", session.CookieConfig{Name: "__host-vid"}, false},
		{"prefix of tomorrow", session.CookieConfig{Name: "__Http-vid", Secure: true}, false},
		{"empty", session.CookieConfig{}, false},
		{"blank", session.CookieConfig{Name: "a b"}, false},
		{"semicolon", session.CookieConfig{Name: "a;b"}, false},
		{"equals sign", session.CookieConfig{Name: "a=b"}, false},
		{"not ASCII", session.CookieConfig{Name: "\u2000__Host-vid"}, false},
	}
	for _, tt := range tests {
		if err := tt.config.Validate(); (err == nil) != tt.ok || err != nil && !errors.Is(err, session.ErrCookieConfig) {
			t.Errorf("%s: Validate() = %v, want ok = %t", tt.name, err, tt.ok)
		}
		h := make(http.Header)
		if err := tt.config.Set(h, "v", 0); (err == nil) != tt.ok || (len(h) == 1) != tt.ok {
			t.Errorf("%s: Set() = %v with %d headers, want ok = %t", tt.name, err, len(h), tt.ok)
		}
	}
	for domain, ok := range map[string]bool{
		"corp.example": true, "a.b.corp.example": true, "xn--bcher-kva.example": true, "1.example": true,
		"": false, "example": false, "localhost": false, ".corp.example": false, "corp.example.": false, "corp..example": false,
		"127.0.0.1": false, "::1": false, "Corp.Example": false, "corp.example; Path=/x": false, "-a.example": false, "a-.example": false,
		"a_b.example": false, "bücher.example": false, "*.example": false, strings.Repeat("a", 64) + ".example": false,
		strings.Repeat("a.", 126) + "example": false,
	} {
		err := session.CookieConfig{Name: "__Secure-vid", Secure: true, Domain: domain}.Validate()
		if (err == nil) != ok {
			t.Errorf("domain %q: Validate() = %v, want ok = %t", domain, err, ok)
		}
	}
}

// A cookie over 4,096 bytes is dropped by browsers without a word, and the visitor goes round in circles (TM-026).
func TestCookieTooLargeIsAnError(t *testing.T) {
	t.Parallel()
	c := session.CookieConfig{Name: "__Host-vid", Secure: true}
	largest := session.MaxCookie - len("__Host-vid=")
	h := make(http.Header)
	if err := c.Set(h, strings.Repeat("a", largest), 0); err != nil {
		t.Errorf("Set() of %d bytes = %v, want nil", largest, err)
	}
	h = make(http.Header)
	if err := c.Set(h, strings.Repeat("a", largest+1), 0); !errors.Is(err, session.ErrTooLarge) || len(h) != 0 {
		t.Errorf("Set() of %d bytes = %v with %d headers, want ErrTooLarge and none", largest+1, err, len(h))
	}
}

// Only sealed and random texts go into cookies. Anything else could add attributes or headers of its own.
func TestCookieValueCannotAddAttributes(t *testing.T) {
	t.Parallel()
	c := session.CookieConfig{Name: "__Host-vid", Secure: true}
	for _, value := range []string{"", "a; Domain=evil.test", "a\r\nSet-Cookie: b=c", `"a"`, "a b", "a,b", "ü", "a\x00", "a%20b", "a=b"} {
		h := make(http.Header)
		if err := c.Set(h, value, 0); !errors.Is(err, session.ErrCookieValue) || len(h) != 0 {
			t.Errorf("Set(%q) = %v with %q, want ErrCookieValue", value, err, h)
		}
	}
}
