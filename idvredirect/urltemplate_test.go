// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

func TestURLTemplate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, raw, parameter string
		want                 string // with the token T.T.T
		origin               string
	}{
		{"placeholder", "https://idv.example/contoso/?token={token}", "", "https://idv.example/contoso/?token=T.T.T", "https://idv.example"},
		{"placeholder and its name", "https://idv.example/?token={token}", "token", "https://idv.example/?token=T.T.T", "https://idv.example"},
		{"placeholder first", "https://idv.example/?t={token}&a=1", "", "https://idv.example/?t=T.T.T&a=1", "https://idv.example"},
		{"placeholder between", "https://idv.example/?a=1&t={token}&b=2#top", "", "https://idv.example/?a=1&t=T.T.T&b=2#top", "https://idv.example"},
		{"encoded name", "https://idv.example/?%74oken={token}", "token", "https://idv.example/?%74oken=T.T.T", "https://idv.example"},
		{"added", "https://idv.example/start", "", "https://idv.example/start?token=T.T.T", "https://idv.example"},
		{"added to a bare host", "https://idv.example", "", "https://idv.example?token=T.T.T", "https://idv.example"},
		{"added under a name", "https://idv.example/start", "jwt", "https://idv.example/start?jwt=T.T.T", "https://idv.example"},
		{"added under an odd name", "https://idv.example/start", "a b&c=d", "https://idv.example/start?a+b%26c%3Dd=T.T.T", "https://idv.example"},
		{"added to an empty query", "https://idv.example/start?", "", "https://idv.example/start?token=T.T.T", "https://idv.example"},
		{"added to a query", "https://idv.example/?lang=en", "", "https://idv.example/?lang=en&token=T.T.T", "https://idv.example"},
		{"added to a query that ends in &", "https://idv.example/?lang=en&", "", "https://idv.example/?lang=en&token=T.T.T", "https://idv.example"},
		{"added before the fragment", "https://idv.example/#/start?token=1", "", "https://idv.example/?token=T.T.T#/start?token=1", "https://idv.example"},
		{
			"a query survives byte for byte", "https://idv.example/%7Ea/?Z=%2f+%2F&&x=a%20b+c&=&a[]=1;b=2&bad=%zz&Token=1", "",
			"https://idv.example/%7Ea/?Z=%2f+%2F&&x=a%20b+c&=&a[]=1;b=2&bad=%zz&Token=1&token=T.T.T", "https://idv.example",
		},
		{"own port", "https://IDV.Example:8443/", "", "https://IDV.Example:8443/?token=T.T.T", "https://idv.example:8443"},
		{"the scheme's port", "HTTPS://idv.example:0443/", "", "HTTPS://idv.example:0443/?token=T.T.T", "https://idv.example"},
		{"ipv4", "https://192.0.2.1/", "", "https://192.0.2.1/?token=T.T.T", "https://192.0.2.1"},
		{"ipv6", "https://[2001:db8::1]:8443/", "", "https://[2001:db8::1]:8443/?token=T.T.T", "https://[2001:db8::1]:8443"},
		{"punycode", "https://xn--bcher-kva.example/", "", "https://xn--bcher-kva.example/?token=T.T.T", "https://xn--bcher-kva.example"},
		{"@ in the path", "https://idv.example/@contoso", "", "https://idv.example/@contoso?token=T.T.T", "https://idv.example"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			parsed := template(t, test.raw, test.parameter)
			got, err := parsed.With("T.T.T")
			if err != nil || got != test.want {
				t.Errorf("With = %q, %v\nwant   %q", got, err, test.want)
			}
			if parsed.Origin() != test.origin {
				t.Errorf("Origin() = %q, want %q", parsed.Origin(), test.origin)
			}
			if want := strings.Replace(test.want, "T.T.T", "{token}", 1); parsed.String() != want {
				t.Errorf("String() = %q, want %q", parsed.String(), want)
			}
		})
	}
}

// TM-094: the token goes to one https host of the configuration and nowhere else. Each error says what to change.
// A partner that takes a form gets the token in its body, and nothing of it stays in the address.
func TestFormOfURLTemplate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ url, parameter, action, field string }{
		{"https://idv.example/contoso/?token={token}", "", "https://idv.example/contoso/", "token"},
		{"https://idv.example/contoso/?lang=en&jwt={token}&x=1#top", "", "https://idv.example/contoso/?lang=en&x=1#top", "jwt"},
		{"https://idv.example/start", "", "https://idv.example/start", "token"},
		{"https://idv.example/start?lang=en", "id_hint", "https://idv.example/start?lang=en", "id_hint"},
	} {
		template, err := idvredirect.ParseURLTemplate(test.url, test.parameter)
		if err != nil {
			t.Fatal(err)
		}
		if action, field := template.Form(); action != test.action || field != test.field {
			t.Errorf("%s: action %q, field %q, want %q, %q", test.url, action, field, test.action, test.field)
		}
	}
}

func TestRefusedURLTemplate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, raw, parameter string
		want                 string
	}{
		{"empty", "", "", "is empty"},
		{"relative", "/contoso/?token={token}", "", "begin it with https://"},
		{"scheme relative", "//idv.example/", "", "begin it with https://"},
		{"no slashes", "https:idv.example", "", "begin it with https://"},
		{"http", "http://idv.example/?token={token}", "", "write https://"},
		{"http on loopback without the option", "http://localhost:8092/", "", "write https://"},
		{"other scheme", "javascript://idv.example/%0aalert(1)", "", "begin it with https://"},
		{"no host", "https:///start", "", "host"},
		{"port only", "https://:443/", "", "host"},
		{"user information", "https://idv.example@evil.example/", "", "remove it"},
		{"empty user information", "https://@evil.example/", "", "remove it"},
		{"user and password", "https://a:b@evil.example/", "", "remove it"},
		{"backslash", `https://idv.example\@evil.example/`, "", "percent-encode"},
		{"blank", "https://idv.example/a b", "", "percent-encode"},
		{"line end", "https://idv.example/\r\nSet-Cookie: a=b", "", "percent-encode"},
		{"umlaut", "https://bücher.example/", "", "percent-encode"},
		{"quote", `https://idv.example/"onload=`, "", "percent-encode"},
		{"encoded host", "https://idv%2eexample/", "", "xn--"},
		{"host with comma", "https://idv,example/", "", "xn--"},
		{"empty label", "https://idv..example/", "", "host"},
		{"number for a host", "https://2130706433/", "", "all four numbers"},
		{"short address", "https://127.1/", "", "all four numbers"},
		{"octal address", "https://127.0.0.01/", "", "all four numbers"},
		{"hexadecimal address", "https://idv.0x7f/", "", "all four numbers"},
		{"ipv4 in brackets", "https://[127.0.0.1]/", "", ""},
		{"name in brackets", "https://[idv]/", "", ""},
		{"zone", "https://[fe80::1%25eth0]/", "", "xn--"},
		{"port zero", "https://idv.example:0/", "", "1 to 65535"},
		{"port too high", "https://idv.example:65536/", "", "1 to 65535"},
		{"empty port", "https://idv.example:/", "", "1 to 65535"},
		{"port no number", "https://idv.example:https/", "", "host"},
		{"too long", "https://idv.example/" + strings.Repeat("a", 2048), "", "2048"},
		{"token in the scheme", "{token}://idv.example/", "", "query only"},
		{"token in the host", "https://{token}.idv.example/", "", "query only"},
		{"token in the port", "https://idv.example:{token}/", "", "query only"},
		{"token in user information", "https://{token}@idv.example/", "", "query only"},
		{"token in the path", "https://idv.example/{token}", "", "query only"},
		{"token in the path and in the query", "https://idv.example/{token}?t={token}", "", "query only"},
		{"token in the fragment", "https://idv.example/#{token}", "", "after the #"},
		{"token twice", "https://idv.example/?a={token}&b={token}", "", "more than once"},
		{"token in a name", "https://idv.example/?{token}=1", "", "whole value"},
		{"token without a name", "https://idv.example/?{token}", "", "whole value"},
		{"token under an empty name", "https://idv.example/?={token}", "", "whole value"},
		{"token in a part of a value", "https://idv.example/?a=x{token}", "", "whole value"},
		{"token before a semicolon", "https://idv.example/?a={token};b=1", "", "whole value"},
		{"token after a semicolon", "https://idv.example/?b;a={token}", "", "whole value"},
		{"name that is not encoded well", "https://idv.example/?%zz={token}", "", "whole value"},
		{"token and another name", "https://idv.example/?a={token}", "token", "another name"},
		{"other placeholder", "https://idv.example/?t={jwt}", "", "only placeholder"},
		{"other spelling", "https://idv.example/?t={Token}", "", "only placeholder"},
		{"open brace", "https://idv.example/?t={token", "", "only placeholder"},
		{"name taken", "https://idv.example/?token=1", "", "already"},
		{"name taken, encoded", "https://idv.example/?%74oken=1", "", "already"},
		{"name taken, behind a semicolon", "https://idv.example/?a=1;token=2", "", "already"},
		{"name taken beside the placeholder", "https://idv.example/?token={token}&token=1", "", "already"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			parsed, err := idvredirect.ParseURLTemplate(test.raw, test.parameter)
			if parsed != nil || !errors.Is(err, idvredirect.ErrURLTemplate) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("ParseURLTemplate(%q, %q) = %v, %v, want ErrURLTemplate with %q", test.raw, test.parameter, parsed, err, test.want)
			}
		})
	}
}

func TestInsecureLoopbackHTTP(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		raw    string
		origin string // empty: refused
	}{
		{"http://localhost:8092/start", "http://localhost:8092"},
		{"http://LOCALHOST./start", "http://localhost."},
		{"http://idv.localhost:80/", "http://idv.localhost"},
		{"http://127.0.0.1:8092/", "http://127.0.0.1:8092"},
		{"http://127.9.9.9/", "http://127.9.9.9"},
		{"http://[::1]:8092/", "http://[::1]:8092"},
		{"https://idv.example/", "https://idv.example"},
		{"http://idv.example/", ""},
		{"http://localhost.idv.example/", ""},
		{"http://notlocalhost/", ""},
		{"http://127.0.0.1.idv.example/", ""},
		{"http://192.168.0.1/", ""},
		{"http://[::2]/", ""},
		{"http://0.0.0.0/", ""},
	} {
		parsed, err := idvredirect.ParseURLTemplate(test.raw, "", idvredirect.InsecureLoopbackHTTP())
		switch {
		case test.origin == "" && !errors.Is(err, idvredirect.ErrURLTemplate):
			t.Errorf("ParseURLTemplate(%q) = %v, %v, want ErrURLTemplate", test.raw, parsed, err)
		case test.origin != "" && (err != nil || parsed.Origin() != test.origin):
			t.Errorf("ParseURLTemplate(%q) = %v, %v, want origin %q", test.raw, parsed, err, test.origin)
		}
	}
}

// What is no compact JWT could break out of the query value.
func TestOnlyTokensAreFilledIn(t *testing.T) {
	t.Parallel()
	parsed := template(t, testStartURL, "")
	for _, token := range []string{"", "a.b.c&token=d", "a.b.c#d", "a b", "a%2e", "a/b", "a+b", "ä", "a\r\nb", "{token}"} {
		if got, err := parsed.With(token); got != "" || !errors.Is(err, idvredirect.ErrURLTemplate) {
			t.Errorf("With(%q) = %q, %v, want ErrURLTemplate", token, got, err)
		}
	}
}
