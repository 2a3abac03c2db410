// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// finishFrom goes through a visit that begins at an address, and returns where it ends.
func finishFrom(t *testing.T, g *Gate, s *service, b *browser, start string) string {
	t.Helper()
	w, _ := b.open(start)
	w = b.post(basePath+"/request", url.Values{"token": {tokenIn(t, w.Body.String())}, "credential": {"employee"}})
	at, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	requestID, state, key := s.last(t)
	callback(t, g, key, verified(requestID, state))
	page, _ := b.open(at.String())
	w = b.post(basePath+"/finish", url.Values{"token": {tokenIn(t, page.Body.String())}, "t": {at.Query().Get("t")}})
	return onward(w)
}

// The window of an app leads to the page that says so, and every page on the way is marked with the window's id.
func TestPopupLeadsToItsLastPage(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	p, _ := askAPI(t, b, "/api")
	w, _ := b.open(p.Start + "&popup=0b1c-2d")
	if body := w.Body.String(); !strings.Contains(body, `data-popup="0b1c-2d"`) || strings.Contains(body, "/done") {
		t.Errorf("the start page in a pop-up is\n%s", body)
	}
	if got, want := finishFrom(t, g, s, b, p.Start+"&popup=0b1c-2d"), basePath+"/done?popup=0b1c-2d"; got != want {
		t.Errorf("the visit ends at %q, want %q", got, want)
	}
	w, _ = b.open(basePath + "/done?popup=0b1c-2d")
	if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, "data-done") || !strings.Contains(body, `data-popup="0b1c-2d"`) {
		t.Errorf("the last page: status %d\n%s", w.Code, body)
	}
}

// A link to the last page, sent to somebody who has shown nothing, must not say that all is well: it asks for the card.
func TestLastPageOfAPopupIsForThoseWhoAreIn(t *testing.T) {
	_, g, _ := journeyGate(t, "", mailGate)
	w, u := newBrowser(t, g).open(basePath + "/done?popup=0b1c")
	if body := w.Body.String(); u.hits != 0 || strings.Contains(body, "data-done") || !strings.Contains(body, `action="`+basePath+`/request"`) {
		t.Errorf("a stranger sees\n%s", body)
	}
}

// The id of a window is repeated by pages and sent to scripts. One with markup or a path in it is none, and the visit is one in
// the visitor's own window. TM-081, TM-099.
func TestHostilePopupID(t *testing.T) {
	_, g, _ := journeyGate(t, "", mailGate)
	for _, id := range []string{"", `"><script>`, "a/b", "a&b", "../logout", "a.b", "ä", "a b", strings.Repeat("a", maxPopupID+1)} {
		w, _ := newBrowser(t, g).open(basePath + "/start?popup=" + url.QueryEscape(id))
		if strings.Contains(w.Body.String(), "popup") {
			t.Errorf("%q is taken for a window's id", id)
		}
		if w, _ := newBrowser(t, g).open(basePath + "/done?popup=" + url.QueryEscape(id)); w.Code != http.StatusNotFound {
			t.Errorf("the last page of %q: status %d", id, w.Code)
		}
	}
}

// An app whose browser opens no windows names the page to come back to. A stranger may write such a link, too: it leads no
// further than a link to that page would, never to another site and never to an address of ours. TM-081, TM-082, TM-084.
func TestReturnThatAnAppNames(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	for i, test := range []struct{ named, want string }{
		{"/app?tab=2", "/app?tab=2"},
		{"//evil.example", "/"},
		{"https://evil.example/", "/"},
		{`/\evil.example`, "/"},
		{"/x#y", "/"},
		{"/.verified-id/logout", "/"},
		{"/.Verified-ID%2Flogout", "/"},
		{basePath + "/done?popup=0b1c", "/"},
	} {
		b := newBrowser(t, g)
		b.client = "198.51.100." + string(rune('1'+i))
		p, _ := askAPI(t, b, "/api")
		if got := finishFrom(t, g, s, b, p.Start+"&return_to="+url.QueryEscape(test.named)); got != test.want {
			t.Errorf("return_to=%s leads to %q, want %q", test.named, got, test.want)
		}
	}
}
