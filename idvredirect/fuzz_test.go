// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	whatwg "github.com/nlnwa/whatwg-url/url"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// FuzzParseKickstartToken changes the tokens of the vectors, whose key is the same in every process. None of the changes may
// pass, not even one that a lax decoder would read as the same bytes; and nothing of a refused token may come out.
func FuzzParseKickstartToken(f *testing.F) {
	sound := make([]string, 0, 2)
	for _, name := range []string{"kickstart-jwt-minimal.json", "kickstart-jwt-hardened.json"} {
		token := readVector(f, name).Compact
		sound = append(sound, token)
		f.Add(token)
		f.Add(token + "=")
		f.Add(token[:len(token)-2])
		f.Add(strings.ToLower(token))
	}
	claims := soundClaims(f, nil)
	for _, header := range []string{
		`{"alg":"RS256","typ":"JWT"}`, `{"alg":"none"}`, `{"alg":"RS256","typ":"JWT","crit":[]}`, `{}`, `null`, `["RS256"]`, `{"alg":null,"typ":"JWT"}`,
		`{"alg":"rs256","typ":"JWT"}`, `{"alg":"HS256","typ":"JWT"}`, `{"alg":"RS256","alg":"none","typ":"JWT"}`, `{"ALG":"RS256","TYP":"JWT"}`,
		`{"alg":"RS256","typ":"at+jwt"}`, `{"alg":"RS256","typ":"JWT","b64":false}`, `{"alg":"RS256","typ":"JWT","zip":"DEF"}`,
		`{"alg":"RS256","typ":"JWT","kid":"../../dev/null"}`, `{"alg":"RS256","typ":"JWT","kid":null}`, `{"alg":"RS256","typ":"JWT","jku":"https://evil.example"}`,
	} {
		f.Add(base64URL([]byte(header)) + "." + base64URL([]byte(claims)) + ".AAAA")
	}
	for _, token := range []string{"", sound[0] + ".", "Bearer " + sound[0], sound[0][:10] + "\n" + sound[0][10:], sound[0] + "\n", strings.Repeat(".", 100)} {
		f.Add(token)
	}
	cfg := vectorConfig(f, idvredirect.Minimal, 2*time.Minute)
	cfg.OneTime = alwaysFirst
	for _, token := range sound {
		if _, err := idvredirect.Verify(f.Context(), token, cfg); err != nil {
			f.Fatalf("Verify = %v for a sound token", err)
		}
	}
	f.Fuzz(func(t *testing.T, token string) {
		got, err := idvredirect.Verify(t.Context(), token, cfg)
		if err == nil {
			if !slices.Contains(sound, token) {
				t.Fatalf("Verify accepts %q, which nobody signed", token)
			}
			return
		}
		if !errors.Is(err, idvredirect.ErrToken) || got != (idvredirect.Claims{}) {
			t.Fatalf("Verify = %+v, %v, want ErrToken and no claims", got, err)
		}
	})
}

var alwaysFirst = storeFunc(func(context.Context, string, time.Time) (bool, error) { return true, nil })

// FuzzKickstartClaims signs what the fuzzer makes up: what Kickstart lets through, Verify must read back unchanged.
func FuzzKickstartClaims(f *testing.F) {
	f.Add(testOrgID, testRequestID, testRedirectURL, uint16(300))
	f.Add(`a"b\c`, "0123456789+/0123456789", "https://a.example/?x=%22&y=</script>", uint16(900))
	f.Add("<&>", strings.Repeat("~", 128), "https://[2001:db8::1]:8443/a?b", uint16(1))
	f.Fuzz(func(t *testing.T, orgID, requestID, redirectURL string, seconds uint16) {
		p := partner(t, idvredirect.Hardened)
		p.OrgID, p.Lifetime = orgID, time.Duration(seconds)*time.Second
		token, err := p.KickstartToken(signingKey(0), requestID, redirectURL, fixtureTime, nil)
		if err != nil {
			return
		}
		cfg := verifyConfig(t, idvredirect.Hardened)
		cfg.OrgIDs, cfg.RedirectURLs = []string{orgID}, []string{redirectURL}
		cfg.OneTime = alwaysFirst
		got, err := idvredirect.Verify(t.Context(), token, cfg)
		if err != nil || got.OrgID != orgID || got.RequestID != requestID || got.RedirectURL != redirectURL {
			t.Fatalf("Verify = %+v, %v, want %q, %q, %q", got, err, orgID, requestID, redirectURL)
		}
	})
}

// FuzzCorrelationVector: what is accepted is kept byte for byte, is harmless in a header and a log, and every operator
// makes another vector of the same trace from it, or leaves it as it is.
func FuzzCorrelationVector(f *testing.F) {
	for _, vector := range []string{
		baseA + ".0", baseB + ".1.23", longVector, longVector + "!", vectorOf(baseA, 127, "9"), vectorOf(baseA, 104, "1"),
		"A." + baseA + ".B", "A." + baseA + "#B6A5FFD77977E2AE.0", "A." + baseA + "-304773F68A307E98.1_B6A6A13E588CF82F.0",
		vectorOf("A."+baseA, 128, "F"), baseA + ".4294967295", "", "Q3Iw1qpDvUyrs4Vf.0", baseA + ".4294967296", baseA + ".0000000001",
		baseA + ".1!!", baseA + ".1!.2", baseA + ".1F", baseA + ".+1", baseA + ".1..2", baseA + "!", strings.Repeat("A", 21) + "B.0",
		"PmvzQKgYek6Sdk/T5sWaqw==.0", "A" + baseA + ".0", "A." + baseB + "-304773F68A307E98.1.F.A.234", "A." + baseB + ".1.F.A.23_93816B91E430A7BB.1",
		"A." + baseB + "#b6a5ffd77977e2ae.0", "A." + baseB + ".1#B6A5FFD77977E2AE.0", "B." + baseA + ".0", " " + baseA + ".0", baseA + ".0\x00", baseA + ".\u0663",
	} {
		f.Add(vector)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := idvredirect.ParseCorrelationVector(s)
		if err != nil {
			if v.String() != "" || err.Error() != idvredirect.ErrCorrelationVector.Error() {
				t.Fatalf("ParseCorrelationVector(%q) = %q, %v", s, v, err)
			}
			return
		}
		if v.String() != s || len(s) > 128 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/.!#-_") != "" {
			t.Fatalf("ParseCorrelationVector(%q) = %q", s, v)
		}
		spun, err := v.Spin(idvredirect.DefaultSpin(), fixtureTime, nil)
		if err != nil {
			t.Fatal(err)
		}
		reset, err := v.Reset(fixtureTime, nil)
		if err != nil {
			t.Fatal(err)
		}
		third := strings.HasPrefix(s, "A.")
		for name, next := range map[string]idvredirect.CorrelationVector{
			"Increment": v.Increment(), "Extend": v.Extend(), "Spin": spun, "Reset": reset,
		} {
			again, err := idvredirect.ParseCorrelationVector(next.String())
			if err != nil || again != next || next.Base() != v.Base() {
				t.Fatalf("%s of %q = %q, which is not a vector of that trace", name, s, next)
			}
			unchanged := v.Terminated() || third && (name == "Increment" || name == "Extend") || !third && name == "Reset"
			if next == v && !unchanged {
				t.Fatalf("%s of %q does nothing", name, s)
			}
		}
	})
}

// FuzzURLTemplate: the start URL goes to the host that the operator sees, by Go's reading and by the browsers', over https;
// the partner finds exactly one token in it; and nothing else of it has changed.
func FuzzURLTemplate(f *testing.F) {
	for _, seed := range [][2]string{
		{testStartURL, ""},
		{"https://idv.example", "jwt"},
		{"https://idv.example/?a=1&b=%zz;c#x", "token"},
		{"https://user@idv.example/?{token}", ""},
		{`https://idv.example\@evil.example/?t={token}`, ""},
		{"https://[2001:db8::1]:8443/?t={token}&x", "t"},
		{"https://0x7f.1/", ""},
		{"HTTPS://IDV.example:443?", "a b"},
		{"https://idv.example/?%74oken=1", ""},
		{"https://xn--bcher-kva.example/;a=b?c;d={token}", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	const token = "eyJh.eyJi.c2ln"
	f.Fuzz(func(t *testing.T, raw, parameter string) {
		parsed, err := idvredirect.ParseURLTemplate(raw, parameter)
		if err != nil {
			if parsed != nil || !errors.Is(err, idvredirect.ErrURLTemplate) {
				t.Fatalf("ParseURLTemplate(%q, %q) = %v, %v", raw, parameter, parsed, err)
			}
			return
		}
		location, err := parsed.With(token)
		if err != nil {
			t.Fatal(err)
		}
		original, err := url.Parse(strings.Replace(raw, "{token}", "", 1))
		if err != nil {
			t.Fatalf("the template %q does not parse: %v", raw, err)
		}
		u, err := url.Parse(location)
		if err != nil || u.Scheme != "https" || u.User != nil || u.Host != original.Host || u.EscapedPath() != original.EscapedPath() || u.EscapedFragment() != original.EscapedFragment() {
			t.Fatalf("%q with a token = %q, %v, want the same host, path and fragment", raw, location, err)
		}
		checkOneToken(t, u.RawQuery, token)
		checkUnchanged(t, raw, location, token)
		checkBrowserHost(t, location, parsed.Origin())
	})
}

// checkOneToken looks for the token as a partner does, by the query parser.
func checkOneToken(t *testing.T, query, token string) {
	t.Helper()
	values, _ := url.ParseQuery(query) // it goes on behind a pair it cannot read
	found := 0
	for _, value := range values {
		if slices.Contains(value, token) {
			found++
			if len(value) != 1 {
				t.Fatalf("in %q the token is one of the values %q", query, value)
			}
		}
	}
	if found != 1 {
		t.Fatalf("in %q the token is the value of %d parameters, want 1", query, found)
	}
}

// checkUnchanged takes the token out again and compares with what the operator wrote.
func checkUnchanged(t *testing.T, raw, location, token string) {
	t.Helper()
	if strings.Contains(raw, "{token}") {
		if location != strings.Replace(raw, "{token}", token, 1) {
			t.Fatalf("%q with a token = %q", raw, location)
		}
		return
	}
	address, fragment, _ := strings.Cut(raw, "#")
	got, gotFragment, _ := strings.Cut(location, "#")
	if !strings.HasPrefix(got, address) || !strings.HasSuffix(got, "="+token) || fragment != gotFragment {
		t.Fatalf("%q with a token = %q", raw, location)
	}
}

// longNoNumber is a last label that begins as a number of more than 64 bits and goes on with what is no digit.
var longNoNumber = regexp.MustCompile(`(?:^|\.)[0-9]{16,}[0-9a-z_-]*[a-z_-][0-9a-z_-]*\.?$`)

// checkBrowserHost reads the URL as browsers do.
func checkBrowserHost(t *testing.T, location, origin string) {
	t.Helper()
	if strings.Contains(origin, "xn--") {
		return // browsers refuse some of these; what they accept they leave as it is
	}
	if host, err := url.Parse(origin); err == nil && longNoNumber.MatchString(host.Hostname()) {
		return // no number for a browser, but the parser in its place overflows before it sees the letter
	}
	browser, err := whatwg.Parse(location)
	if err != nil {
		t.Fatalf("a browser refuses %q: %v", location, err)
	}
	want, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	got, wantHost := strings.Trim(browser.Hostname(), "[]"), want.Hostname()
	if address, err := netip.ParseAddr(wantHost); err == nil && address.Is6() {
		parsed, err := netip.ParseAddr(got)
		if err != nil || parsed != address {
			t.Fatalf("a browser takes %q to %q, we to %q", location, got, wantHost)
		}
	} else if got != wantHost {
		t.Fatalf("a browser takes %q to %q, we to %q", location, got, wantHost)
	}
	if browser.Port() != want.Port() || browser.Protocol() != "https:" || browser.Username() != "" || browser.Password() != "" {
		t.Fatalf("a browser takes %q to %q, we to %q", location, browser.Host(), want.Host)
	}
}
