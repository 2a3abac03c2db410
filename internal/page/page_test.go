// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

// deepLink has the form of the service's links; the identifiers are from a sample in the documentation.
const deepLink = "openid-vc://?request_uri=https://verifiedid.did.msidentity.com/v1.0/3c32ed40-8a10-465b-8ba4-0b1e86882668/" +
	"verifiableCredentials/presentationRequests/5d5d5c4e-7f0a-4e4f-9a5e-2c9f3b1c7d11"

// rendered is one page as it left.
type rendered struct {
	name string
	*httptest.ResponseRecorder
}

func newRenderer(t testing.TB, config page.Config) *page.Renderer {
	t.Helper()
	r, err := page.New(config)
	if err != nil {
		t.Fatalf("New(%+v) = %v", config, err)
	}
	return r
}

// fill sets every string of a view to text, every slice to two elements, and everything else to a value that shows the most.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(90)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 8, 3, 9, 41, 0, 0, time.UTC)))
			return
		}
		for _, field := range v.Fields() {
			fill(field, text)
		}
	default:
		panic("a view has a field of a kind that this test does not fill")
	}
}

// filled is a view with text in all its strings, after which change has set what must be something else.
func filled[T any](text string, change func(*T)) T {
	var view T
	fill(reflect.ValueOf(&view).Elem(), text)
	if change != nil {
		change(&view)
	}
	return view
}

// everyPage renders each page in each of its shapes, with text wherever a view takes some.
func everyPage(t testing.TB, r *page.Renderer, text string) []rendered {
	t.Helper()
	var pages []rendered
	add := func(name string, write func(http.ResponseWriter)) {
		w := httptest.NewRecorder()
		write(w)
		pages = append(pages, rendered{name, w})
	}

	add("start", func(w http.ResponseWriter) { r.Start(w, filled[page.Start](text, nil)) })
	add("start again", func(w http.ResponseWriter) {
		r.Start(w, filled(text, func(p *page.Start) { p.ReturnedFromPartner, p.Reason = false, "signed_out" }))
	})
	add("start without partners", func(w http.ResponseWriter) {
		r.Start(w, filled(text, func(p *page.Start) {
			p.ReturnedFromPartner, p.Reason = false, ""
			p.Choices[0].Partners, p.Choices[1].Partners = nil, nil
		}))
	})
	add("start without choices", func(w http.ResponseWriter) {
		r.Start(w, filled(text, func(p *page.Start) { p.Choices = nil }))
	})
	add("returned", func(w http.ResponseWriter) { r.Returned(w, filled[page.Start](text, nil)) })

	states := []string{
		page.StateCreated, page.StateRetrieved, page.StateVerified, page.StateConsumed,
		page.StateFailed, page.StateRefused, page.StateExpired, page.StateCancelled, text,
	}
	for _, state := range states {
		for _, more := range []bool{false, true} {
			add("wait "+state, func(w http.ResponseWriter) {
				r.Wait(w, filled(text, func(p *page.Wait) {
					p.State, p.DeepLink, p.SameDeviceOnly, p.CanRenew = state, deepLink, more, more
				}))
			})
		}
	}
	add("wait with a bad link", func(w http.ResponseWriter) {
		r.Wait(w, filled(text, func(p *page.Wait) { p.State, p.DeepLink = page.StateCreated, text }))
	})

	// One reason for each kind of advice.
	for _, reason := range []string{"face_check_failed", "wrong_type", "revoked", "domain_mismatch", text} {
		add("refused "+reason, func(w http.ResponseWriter) {
			r.Refused(w, filled(text, func(p *page.Refused) { p.Reason = reason }))
		})
	}
	add("expired", func(w http.ResponseWriter) { r.Expired(w, filled(text, func(p *page.Expired) { p.Cancelled = false })) })
	add("onward", func(w http.ResponseWriter) { r.Onward(w, filled[page.Onward](text, nil)) })
	add("done", func(w http.ResponseWriter) { r.Done(w, filled[page.Done](text, nil)) })
	add("logout", func(w http.ResponseWriter) { r.Logout(w, filled[page.Logout](text, nil)) })
	add("signed out", func(w http.ResponseWriter) { r.SignedOut(w, filled[page.SignedOut](text, nil)) })
	add("session", func(w http.ResponseWriter) { r.Session(w, filled[page.Session](text, nil)) })
	add("session without cards", func(w http.ResponseWriter) { r.Session(w, page.Session{}) })
	for _, kind := range append(problemKinds(), text) {
		add("problem "+kind, func(w http.ResponseWriter) {
			r.Problem(w, filled(text, func(p *page.Problem) { p.Kind, p.Status = kind, 0 }))
		})
	}
	return pages
}

func problemKinds() []string {
	return []string{
		page.ProblemUnavailable, page.ProblemBusy, page.ProblemLimited, page.ProblemBudget, page.ProblemStore, page.ProblemLogout, page.ProblemNotFound,
		page.ProblemBadRequest, page.ProblemForbidden, page.ProblemExpired, page.ProblemCookies, page.ProblemPartner,
		page.ProblemNotAllowed, page.ProblemInternal,
	}
}

func parse(t testing.TB, p rendered) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(p.Body.String()))
	if err != nil {
		t.Fatalf("%s: parsing HTML: %v", p.name, err)
	}
	return root
}

// elements lists the elements of a tree in document order. The parser treats noscript as a browser with scripts does, so its
// content is text; it is parsed once more, for the browser without.
func elements(root *html.Node) []*html.Node {
	var list []*html.Node
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		list = append(list, n)
		if n.Data == "noscript" && n.FirstChild != nil && n.FirstChild.Type == html.TextNode {
			inner, err := html.ParseFragment(strings.NewReader(n.FirstChild.Data), nil)
			if err != nil {
				continue
			}
			for _, node := range inner {
				if node.Type == html.ElementNode {
					list = append(list, node)
				}
				list = append(list, elements(node)...)
			}
		}
	}
	return list
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// named lists the elements of one name.
func named(root *html.Node, name string) []*html.Node {
	var list []*html.Node
	for _, n := range elements(root) {
		if n.Data == name {
			list = append(list, n)
		}
	}
	return list
}

func textOf(n *html.Node) string {
	var b strings.Builder
	if n.Type == html.TextNode {
		b.WriteString(n.Data)
	}
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
