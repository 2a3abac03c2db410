// SPDX-License-Identifier: Apache-2.0

package network_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/network"
)

type fixedToken struct{}

func (fixedToken) Token(context.Context, string) (string, error) { return "CANARY-TOKEN", nil }

// service answers every call with the handler's words.
func service(t *testing.T, handler http.HandlerFunc) *network.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := network.New(network.Config{ServiceURL: server.URL, Tokens: fixedToken{}, InsecureHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

const (
	tenant = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
	id     = "00aa00aa-bb11-cc22-dd33-44ee44ee44ee"
)

// issuer is an issuer as the documents show it.
func issuer(name, did, domain string) string {
	return fmt.Sprintf(`{"id":%q,"tenantId":%q,"did":%q,"name":%q,"linkedDomainUrls":[%q]}`, id, tenant, did, name, domain)
}

// The list of the documents is bare, that of programs in use is not; both are read.
func TestBothFormsOfAListAreRead(t *testing.T) {
	t.Parallel()
	list := "[" + issuer("WoodgroveBank", "did:web:bank.woodgrove.example", "https://bank.woodgrove.example/") + "]"
	for _, answer := range []string{list, " " + list, `{"value":` + list + `}`, `{"value":` + list + `,"nextLink":null}`} {
		found, leftOut, err := service(t, says(answer)).Search(t.Context(), "woodgrove")
		if err != nil || leftOut != 0 || len(found) != 1 || found[0].Name != "WoodgroveBank" || found[0].LinkedDomainURLs[0] != "https://bank.woodgrove.example" {
			t.Errorf("%s: %+v, %d, %v", answer, found, leftOut, err)
		}
	}
	types, err := service(t, says(`[{"name":"Verified employee 1","types":["VerifiableCredential","VerifiedEmployee"],"claims":["mail"]}]`)).
		Types(t.Context(), network.Issuer{TenantID: tenant, ID: id})
	if err != nil || len(types) != 1 || types[0].Asked() != "VerifiedEmployee" {
		t.Errorf("Types() = %+v, %v", types, err)
	}
}

// Whatever is searched for stands in the filter as one word, or nothing is sent: a text cannot become another filter.
func TestSearchedTextStaysOneWord(t *testing.T) {
	t.Parallel()
	var asked []string
	client := service(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.RequestURI)
		_, _ = io.WriteString(w, "[]")
	})
	for text, want := range map[string]string{
		"Woodgrove":                     "woodgrove",
		" bank.woodgrove.example ":      "bank.woodgrove.example",
		"https://bank.woodgrove.com:8/": "bank.woodgrove.com",
		"bücher":                        "b%C3%BCcher",
	} {
		asked = nil
		_, _, err := client.Search(t.Context(), text)
		if uri := "/v1.0/verifiableCredentialsNetwork/authorities?filter=linkeddomainurls%20like%20" + want; err != nil || len(asked) != 1 || asked[0] != uri {
			t.Errorf("%q: asked for %q, want %q; %v", text, asked, uri, err)
		}
	}
	asked = nil
	for _, text := range []string{
		"", " ", "a b", "a' or name like 'b", `a"b`, "100%", "%25", "a&filter=b", "a+b", "a#b", "a\x00b", "a\nb", "a\x1b[2J", "a\u202eb", "a\xffb",
		"a(b)", "*", "_", "https://", strings.Repeat("a", 254),
	} {
		_, _, err := client.Search(t.Context(), text)
		if err == nil || len(asked) > 0 {
			t.Errorf("%q: error %v, asked for %q", text, err, asked)
			asked = nil
		}
		if err != nil && strings.ContainsAny(err.Error(), "\x00\n\x1b\u202e") {
			t.Errorf("%q: the error has it raw: %q", text, err)
		}
	}
}

// An issuer can call itself anything. Nothing of it moves the cursor, turns the line around or makes a config of its own.
func TestNamesCannotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	evil := "Con\u001b[2Jto\u202eso\r\n\u0085" + strings.Repeat("x", 5000)
	answer := strings.ReplaceAll("["+issuer("NAME", "did:web:evil.example", "https://evil.example")+"]", "NAME", strings.NewReplacer("\u001b", `\u001b`, "\r\n", `\r\n`).Replace(evil))
	found, _, err := service(t, says(answer)).Search(t.Context(), "evil")
	if err != nil || found[0].Name != "Con?[2Jto?so???"+strings.Repeat("x", 85)+"…" {
		t.Errorf("name = %+q, %v", found, err)
	}
	types, err := service(t, says(`[{"name":"a\u001bb","types":["X\n\tissuer did:web:evil.example","a b","a{"],"claims":["c\u0007"]}]`)).
		Types(t.Context(), network.Issuer{TenantID: tenant, ID: id})
	if err != nil || types[0].Asked() != "" || types[0].Name != "a?b" || types[0].Claims[0] != "c?" || strings.ContainsAny(types[0].Types[0], "\n\t") {
		t.Errorf("types = %+q, %v", types, err)
	}
}

// What has another form than the documents say is left out, or is no answer.
func TestOddAnswersAreRefused(t *testing.T) {
	t.Parallel()
	good := issuer("Woodgrove", "did:web:woodgrove.example", "https://woodgrove.example/")
	for name, odd := range map[string]string{
		"no DID":         issuer("x", "woodgrove.example", "https://x.example"),
		"two in one DID": issuer("x", "did:web:a.example did:web:b.example", "https://x.example"),
		"no ids":         `{"did":"did:web:x.example","name":"x","linkedDomainUrls":[]}`,
		"a path as id":   strings.Replace(good, id, "../../../x", 1),
	} {
		found, leftOut, err := service(t, says("["+odd+","+good+"]")).Search(t.Context(), "x")
		if err != nil || leftOut != 1 || len(found) != 1 || found[0].Name != "Woodgrove" {
			t.Errorf("%s: %+v, %d, %v", name, found, leftOut, err)
		}
	}
	found, _, err := service(t, says("["+issuer("x", "did:web:x.example", "https://good.example@evil.example/")+"]")).Search(t.Context(), "x")
	if err != nil || len(found[0].LinkedDomainURLs) != 0 {
		t.Errorf("a domain with a user: %+v, %v", found, err)
	}
	for _, answer := range []string{
		"", "null", "{}", `{"value":null}`, "<html>", `"x"`, "[" + good, good, `[{"id":1}]`, `{"value":[],"value":[` + good + `]}`, "[" + strings.Repeat(good+",", 1<<13) + good + "]",
	} {
		if found, _, err := service(t, says(answer)).Search(t.Context(), "x"); err == nil {
			t.Errorf("%.60s: found %+v", answer, found)
		}
	}
}

// The token goes to the service and nowhere else, and into no error.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked elsewhere: %v", r.Header) }))
	t.Cleanup(elsewhere.Close)
	_, _, err := service(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }).Search(t.Context(), "x")
	if err == nil || !strings.Contains(err.Error(), "302") || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("Search() = %v", err)
	}
	_, _, err = service(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"requestId":"r-1","error":{"innererror":{"message":"bad\u001b filter"}}}`)
	}).Search(t.Context(), "x")
	if err == nil || err.Error() != "the Network API answered 400 (bad? filter) [request r-1]" {
		t.Errorf("Search() = %v", err)
	}
	for _, address := range []string{"http://verifiedid.example", "ftp://localhost", "https://user@verifiedid.example", "verifiedid.example"} {
		if _, err := network.New(network.Config{ServiceURL: address, Tokens: fixedToken{}, InsecureHTTP: true}); err == nil {
			t.Errorf("the token would go to %s", address)
		}
	}
}

// A search for a domain also finds those that only have it within them. None of them is taken for the one asked for.
func TestLookalikeIsNotResolved(t *testing.T) {
	t.Parallel()
	client := service(t, func(w http.ResponseWriter, r *http.Request) {
		list := []string{
			issuer("Contoso", "did:web:contoso.example.evil.example", "https://contoso.example.evil.example"),
			issuer("Contoso", "did:web:xcontoso.example", "https://xcontoso.example"),
		}
		if filter, _ := url.QueryUnescape(r.URL.RawQuery); strings.HasSuffix(filter, " fabrikam.example") {
			list = append(list, issuer("Fabrikam", "did:web:did.fabrikam.example:one", "https://www.fabrikam.example"))
		}
		_, _ = io.WriteString(w, "["+strings.Join(list, ",")+"]")
	})
	for _, name := range []string{"contoso.example", "did:web:contoso.example", "did:web:did.fabrikam.example", "contoso", "did:ion:x", "did:web:", "did:web:a b"} {
		if found, err := client.Resolve(t.Context(), name); err == nil {
			t.Errorf("%s: found %+v", name, found)
		}
	}
	if found, err := client.Resolve(t.Context(), "did:web:did.fabrikam.example:one"); err != nil || found.Name != "Fabrikam" {
		t.Errorf("beside its domain: %+v, %v", found, err)
	}
	if found, err := client.Resolve(t.Context(), "did:web:verifiedid.entra.microsoft.com:"+tenant+":"+id); err != nil || found.TenantID != tenant || found.ID != id {
		t.Errorf("a DID that Microsoft made: %+v, %v", found, err)
	}
	both := service(t, says("["+issuer("A", "did:web:a.example", "https://contoso.example")+","+issuer("B", "did:web:b.example", "https://CONTOSO.example/")+"]"))
	if found, err := both.Resolve(t.Context(), "contoso.example"); err == nil || errors.Is(err, network.ErrNotFound) {
		t.Errorf("two with one domain: %+v, %v", found, err)
	}
}
