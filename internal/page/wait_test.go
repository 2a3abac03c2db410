// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

func waitPage(t *testing.T, config page.Config, p page.Wait) (*html.Node, rendered) {
	t.Helper()
	w := rendered{"wait " + p.State, httptest.NewRecorder()}
	newRenderer(t, config).Wait(w, p)
	return parse(t, w), w
}

// TM-035. An attacker starts in his browser and gets somebody else to scan the code; where the operator has closed that way,
// there is nothing to scan: no code, in no form, in no state.
func TestSameDeviceOnlyDrawsNoCode(t *testing.T) {
	t.Parallel()
	code, err := page.QRCode(deepLink)
	if err != nil {
		t.Fatalf("QRCode = %v", err)
	}
	for _, state := range []string{page.StateCreated, page.StateRetrieved, page.StateVerified, page.StateExpired, page.StateRefused} {
		root, w := waitPage(t, page.Config{}, page.Wait{State: state, DeepLink: deepLink, SameDeviceOnly: true, CanRenew: true})
		for _, picture := range []string{"svg", "img", "canvas", "path", "image"} {
			if len(named(root, picture)) > 0 {
				t.Errorf("%s has a %s element", w.name, picture)
			}
		}
		if body := w.Body.String(); strings.Contains(body, code.Path) || strings.Contains(body, "data:image") {
			t.Errorf("%s holds the code", w.name)
		}
		if links := strings.Count(w.Body.String(), deepLink); state == page.StateCreated && links != 1 {
			t.Errorf("%s has %d links to the wallet, want 1", w.name, links)
		}
	}
}

// TM-036. On a phone the link comes first and the code is a second tap away. The page is the same for all; only the style sheet
// decides, so no User-Agent is guessed at and a tablet that calls itself a computer is no special case.
func TestPhoneComesFirst(t *testing.T) {
	t.Parallel()
	root, _ := waitPage(t, page.Config{}, page.Wait{State: page.StateCreated, DeepLink: deepLink})
	var codes []string
	for _, svg := range named(root, "svg") {
		for parent := svg.Parent; parent != nil; parent = parent.Parent {
			if class, _ := attr(parent, "class"); class == "far" || class == "near" {
				codes = append(codes, parent.Data+"."+class)
			}
		}
		if role, _ := attr(svg, "role"); role != "img" {
			t.Errorf("code has role %q, want img", role)
		}
		if label, _ := attr(svg, "aria-label"); label == "" {
			t.Error("code has no label")
		}
	}
	if got := strings.Join(codes, " "); got != "div.far details.near" {
		t.Errorf("codes are in %q, want one for computers and one behind details for phones", got)
	}
	if css := asset(t, newRenderer(t, page.Config{}), "style.css").Body.String(); !strings.Contains(css, "pointer: fine") {
		t.Error("the style sheet does not ask for the pointer")
	}
}

// TM-039, and the request of a user who saw the code after everything was done: once scanned, it is not there any more.
func TestScannedCodeIsGone(t *testing.T) {
	t.Parallel()
	for _, state := range []string{page.StateRetrieved, page.StateVerified, page.StateConsumed, page.StateExpired, page.StateCancelled, page.StateFailed, page.StateRefused} {
		_, w := waitPage(t, page.Config{}, page.Wait{State: state, DeepLink: deepLink, CanRenew: true})
		if body := w.Body.String(); strings.Contains(body, "openid-vc") || strings.Contains(body, "<svg") {
			t.Errorf("%s still shows the code or the link", w.name)
		}
	}
}

func TestWaitWithoutScript(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		state   string
		seconds int
		want    string
	}{
		{"default", page.StateCreated, 0, "4;url=/.verified-id/wait?t=a%26b%3D1"},
		{"given", page.StateCreated, 5, "5;url=/.verified-id/wait?t=a%26b%3D1"},
		{"too often", page.StateCreated, 1, "3;url=/.verified-id/wait?t=a%26b%3D1"},
		{"too seldom", page.StateRetrieved, 1000, "30;url=/.verified-id/wait?t=a%26b%3D1"},
		// The visitor presses the button; a page that reloads would take it away.
		{"done", page.StateVerified, 0, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root, _ := waitPage(t, page.Config{}, page.Wait{State: test.state, Transaction: "a&b=1", DeepLink: deepLink, RefreshSeconds: test.seconds})
			got := ""
			for _, n := range elements(root) {
				if equiv, _ := attr(n, "http-equiv"); equiv == "refresh" {
					got, _ = attr(n, "content")
				}
			}
			if got != test.want {
				t.Errorf("refresh = %q, want %q", got, test.want)
			}
		})
	}
}

// What the script needs to go on without reloading is in the page in each state, and the state is the server's.
func TestWaitTellsItsScript(t *testing.T) {
	t.Parallel()
	for _, state := range []string{page.StateCreated, page.StateRetrieved, page.StateVerified} {
		root, w := waitPage(t, page.Config{}, page.Wait{
			Meta: page.Meta{Base: "/own"}, State: state, Transaction: "tx", Token: "tok", DeepLink: deepLink, ExpiresIn: 61 * time.Second,
		})
		for _, n := range elements(root) {
			if got, ok := attr(n, "data-wait"); ok {
				want := map[string]string{
					"data-self": "/own/wait?t=tx", "data-events": "/own/events?t=tx", "data-status": "/own/status?t=tx", "data-left": "61",
				}
				for name, want := range want {
					if got, _ := attr(n, name); got != want {
						t.Errorf("%s: %s = %q, want %q", w.name, name, got, want)
					}
				}
				if got != state {
					t.Errorf("%s: data-wait = %q", w.name, got)
				}
			}
			class, _ := attr(n, "class")
			if class != page.StateRetrieved && class != page.StateVerified {
				continue
			}
			if _, hidden := attr(n, "hidden"); hidden == (class == state) {
				t.Errorf("%s: section %s hidden = %v", w.name, class, hidden)
			}
			for _, name := range []string{"data-title", "data-step", "data-text", "data-live"} {
				if got, _ := attr(n, name); got == "" {
					t.Errorf("%s: section %s has no %s", w.name, class, name)
				}
			}
		}
		if want := "1:01"; state == page.StateCreated && !strings.Contains(w.Body.String(), "<b>"+want+"</b>") {
			t.Errorf("%s does not say %s", w.name, want)
		}
		checkForm(t, w, "/own/finish", map[string]string{"token": "tok", "t": "tx"})
	}
}

// checkForm wants a form with exactly these fields.
func checkForm(t *testing.T, p rendered, action string, fields map[string]string) {
	t.Helper()
	for _, form := range named(parse(t, p), "form") {
		if got, _ := attr(form, "action"); got != action {
			continue
		}
		found := make(map[string]string)
		for _, input := range named(form, "input") {
			name, _ := attr(input, "name")
			found[name], _ = attr(input, "value")
		}
		if len(found) != len(fields) {
			continue
		}
		same := true
		for name, want := range fields {
			same = same && found[name] == want
		}
		if same {
			return
		}
	}
	t.Errorf("%s has no form to %s with %v", p.name, action, fields)
}

func TestWaitFinalStates(t *testing.T) {
	t.Parallel()
	choice := page.Choice{Credential: "employee", Partners: []page.Partner{{Name: "idv"}}}
	tests := []struct {
		name   string
		p      page.Wait
		title  string
		action string
		fields map[string]string
	}{
		{
			"expired",
			page.Wait{State: page.StateExpired, CanRenew: true},
			"The code has run out",
			"/.verified-id/request",
			map[string]string{"token": "tok", "credential": "employee", "t": "tx"},
		},
		{
			"expired, partner",
			page.Wait{State: page.StateExpired, CanRenew: true},
			"The code has run out",
			"/.verified-id/idv",
			map[string]string{"token": "tok", "credential": "employee", "partner": "idv"},
		},
		{
			"cancelled",
			page.Wait{State: page.StateCancelled, CanRenew: true},
			"You stopped here",
			"/.verified-id/request",
			map[string]string{"token": "tok", "credential": "employee", "t": "tx"},
		},
		{
			"refused",
			page.Wait{State: page.StateRefused, Reason: "wrong_type", CanRenew: true},
			"A different card is needed",
			"/.verified-id/request",
			map[string]string{"token": "tok", "credential": "employee"},
		},
		{
			"failed",
			page.Wait{State: page.StateFailed, Reason: "face_check_failed", CanRenew: true},
			"That did not work yet",
			"/.verified-id/request",
			map[string]string{"token": "tok", "credential": "employee"},
		},
		{"expired for good", page.Wait{State: page.StateExpired}, "The code has run out", "", nil},
		{"refused for good", page.Wait{State: page.StateRefused, Reason: "revoked"}, "A newer card is needed", "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.p.Token, test.p.Transaction, test.p.Choice = "tok", "tx", choice
			root, w := waitPage(t, page.Config{}, test.p)
			if got := textOf(named(root, "h1")[0]); got != test.title {
				t.Errorf("h1 = %q, want %q", got, test.title)
			}
			if test.action != "" {
				checkForm(t, w, test.action, test.fields)
			} else if forms := named(root, "form"); len(forms) > 0 {
				t.Errorf("page has %d forms, want none (TM-038: no more codes on this visit)", len(forms))
			}
		})
	}
}
