// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

func appScript(t *testing.T, config page.Config) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	newRenderer(t, config).ServeAppScript(w)
	return w
}

// The address of the script stays while its content changes, so that it is kept for minutes and not for a year.
func TestAppScript(t *testing.T) {
	t.Parallel()
	w := appScript(t, page.Config{})
	for name, want := range map[string]string{
		"Content-Type": "text/javascript; charset=utf-8", "X-Content-Type-Options": "nosniff",
		"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "public, max-age=300",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if w.Body.Len() > 8<<10 {
		t.Errorf("the script has %d bytes", w.Body.Len())
	}
	for _, left := range []string{"TEXTS", "THEME", "eval(", "innerHTML"} {
		if strings.Contains(w.Body.String(), left) {
			t.Errorf("the script contains %s", left)
		}
	}
}

// The dialog speaks as the pages do, in their colour.
func TestAppScriptFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	script := appScript(t, page.Config{Language: "de", Colour: "#0f5132"}).Body.String()
	for _, want := range []string{`"app_cancel":"Abbrechen"`, "--accent:#0f5132"} {
		if !strings.Contains(script, want) {
			t.Errorf("the script has no %s", want)
		}
	}
}

// Only a window that an app has opened speaks to the app; on the way to a partner it does not say that it is gone.
func TestWindowOfAnAppIsMarked(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{})
	show := func(popup, partner string) string {
		w := httptest.NewRecorder()
		r.Onward(w, page.Onward{Meta: page.Meta{Popup: popup}, Partner: partner})
		return w.Body.String()
	}
	if got := show("", ""); strings.Contains(got, "popup") {
		t.Errorf("a page in the person's own window speaks of pop-ups:\n%s", got)
	}
	got := show("0b1c", "")
	if !strings.Contains(got, `data-popup="0b1c"`) || !strings.Contains(got, "/popup.js") || strings.Contains(got, "data-away") {
		t.Errorf("the page in a pop-up is\n%s", got)
	}
	if !strings.Contains(show("0b1c", "Partner"), "data-away") {
		t.Error("the way to a partner is not marked")
	}
}
