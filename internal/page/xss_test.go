// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"bytes"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

// xss are texts that mean something in one of the places a page puts text into: element, attribute, address, script, style.
var xss = []string{
	`<script>alert(1)</script>`,
	`</script><script>alert(1)</script>`,
	`</title><script>alert(1)</script>`,
	`</noscript><img src=x onerror=alert(1)>`,
	`<noscript><p title="</noscript><img src=x onerror=alert(1)>">`,
	`</style><img src=x onerror=alert(1)>`,
	`<img src=x onerror=alert(1)>`,
	`<svg onload=alert(1)>`,
	`<svg><animate onbegin=alert(1) attributeName=x>`,
	`<math><mi xlink:href="javascript:alert(1)">x</mi></math>`,
	`<iframe srcdoc="<script>alert(1)</script>">`,
	`<base href=https://evil.example/>`,
	`<form action=https://evil.example/><button>x</button>`,
	`<meta http-equiv=refresh content="0;url=https://evil.example/">`,
	`" onmouseover="alert(1)`,
	`' onmouseover='alert(1)`,
	`" autofocus onfocus=alert(1) x="`,
	` onmouseover=alert(1) `,
	"`onmouseover=alert(1)`",
	`"><script>alert(1)</script>`,
	`'><script>alert(1)</script>`,
	`javascript:alert(1)`,
	"java\tscript:alert(1)",
	"\x01javascript:alert(1)",
	`JaVaScRiPt:alert(1)//`,
	`data:text/html,<script>alert(1)</script>`,
	`vbscript:msgbox(1)`,
	`//evil.example/`,
	`/\evil.example/`,
	`https://evil.example/`,
	`openid-vc://evil.example/?request_uri=x`,
	`0;url=javascript:alert(1)`,
	`x;url=https://evil.example/`,
	`{{.T.lang}}`,
	`{{printf "%s" "<script>"}}`,
	`${alert(1)}`,
	`expression(alert(1))`,
	`;background:url(https://evil.example/)`,
	`&lt;script&gt;alert(1)&lt;/script&gt;`,
	`&#60;script&#62;alert(1)`,
	`&quot; onmouseover=alert(1)`,
	`%22%3E%3Cscript%3Ealert(1)%3C/script%3E`,
	`<!--<script>`,
	`-->`,
	`]]>`,
	`<![CDATA[<script>alert(1)</script>]]>`,
	"line\nbreak\r\nSet-Cookie: a=b",
	"\x00<script>alert(1)</script>",
	"\xff\xfe<script>",
	"\u2028alert(1)\u2029",
	"\u202e<script>",
	"＜script＞alert(1)＜/script＞",
	"+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
	"\x1b$B<script>alert(1)</script>",
	strings.Repeat("<b>", 200),
	strings.Repeat("A", 10_000),
}

// shape is a page without the words in it: its elements and the names of their attributes.
func shape(root *html.Node) []string {
	var list []string
	for _, n := range elements(root) {
		item := n.Data
		for _, a := range n.Attr {
			item += " " + a.Key
		}
		list = append(list, item)
	}
	return list
}

func shapes(t *testing.T, pages []rendered) [][]string {
	t.Helper()
	list := make([][]string, len(pages))
	for i, p := range pages {
		list[i] = shape(parse(t, p))
	}
	return list
}

func checkShape(t *testing.T, name, text string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("%s with %.60q ends before <%s>", name, text, want[i])
		case i >= len(want):
			t.Errorf("%s with %.60q has one more <%s>", name, text, got[i])
		case got[i] != want[i]:
			t.Errorf("%s with %.60q has <%s> for <%s>", name, text, got[i], want[i])
		default:
			continue
		}
		return
	}
}

// TM-099. An issuer that is accepted writes HTML into a claim; an operator's display name has an ampersand; the service answers
// with a quotation mark. Others had this in claims, partner names, error texts and the QR page. Whatever text a view holds, the
// page has the same elements and attributes as with a harmless word, and no address in it leads anywhere else.
func TestTextsNeverBecomeMarkup(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{Brand: "Brand"})
	want := shapes(t, everyPage(t, r, "harmless"))
	for _, text := range xss {
		for i, p := range everyPage(t, r, text) {
			root := parse(t, p)
			checkShape(t, p.name, text, shape(root), want[i])
			checkAddresses(t, p.name, root)
		}
	}
}

// TM-099, the same for what comes from the configuration.
func TestBrandNeverBecomesMarkup(t *testing.T) {
	t.Parallel()
	show := func(r *page.Renderer) []rendered {
		w := httptest.NewRecorder()
		r.Problem(w, page.Problem{})
		return []rendered{{"problem", w}}
	}
	want := shapes(t, show(newRenderer(t, page.Config{Brand: "harmless"})))
	for _, text := range xss {
		for i, p := range show(newRenderer(t, page.Config{Brand: text})) {
			checkShape(t, p.name, text, shape(parse(t, p)), want[i])
		}
	}
}

// addressAttributes are the attributes that browsers follow.
var addressAttributes = []string{"href", "src", "action", "formaction", "srcset", "poster", "data", "data-self", "data-events", "data-status"}

// checkAddresses wants every address on this site, but for the link to the wallet. A meta refresh counts as an address.
func checkAddresses(t *testing.T, name string, root *html.Node) {
	t.Helper()
	for _, n := range elements(root) {
		for _, a := range n.Attr {
			address := a.Val
			switch {
			case n.Data == "meta" && a.Key == "content":
				if _, after, ok := strings.Cut(address, "url="); ok {
					address = after
					break
				}
				continue
			case !slices.Contains(addressAttributes, a.Key):
				continue
			}
			if n.Data == "a" && address == deepLink || n.Data == "use" && address == "#code" {
				continue
			}
			u, err := url.Parse(address)
			if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(address, "/") || strings.ContainsAny(address, "\\\n\t") {
				t.Errorf("%s: <%s %s=%q> leaves the site", name, n.Data, a.Key, address)
			}
		}
	}
}

// TM-099. The check of html/template can be switched off by a type; one place in the package may do that, for the link to the
// wallet, and it must stay the only one.
func TestOnlyTheWalletLinkIsTrusted(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatalf("listing files: %v", err)
	}
	conversion := regexp.MustCompile(`template\.(URL|HTML|HTMLAttr|JS|JSStr|CSS|Srcset)\(`)
	var found []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("reading: %v", err)
		}
		for line := range bytes.SplitSeq(content, []byte("\n")) {
			if conversion.Match(line) {
				found = append(found, file+": "+string(conversion.Find(line)))
			}
		}
	}
	if want := []string{"link.go: template.URL("}; !slices.Equal(found, want) {
		t.Errorf("trusted conversions = %q, want %q", found, want)
	}
}

// TM-100. caddy-security showed a javascript: Referer as a link. What has no request cannot show one.
func TestNoPageSeesTheRequest(t *testing.T) {
	t.Parallel()
	renderer := reflect.TypeFor[*page.Renderer]()
	for method := range renderer.Methods() {
		for in := range method.Type.Ins() {
			if name := in.String(); strings.Contains(name, "http.Request") || strings.Contains(name, "url.URL") {
				t.Errorf("%s takes a %s", method.Name, name)
			}
		}
	}
}
