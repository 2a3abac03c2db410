// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// Ana's cookie is copied, and the copy is used while Ana's own tab rests for longer than idle. Then she signs out there, or somebody
// verifies in her browser: her cookie opens nothing any more, and the session that it names must end all the same, or the copy goes on
// until the end of its lifetime while the page says "signed out". What has rested is not carried on into a new session. TM-033, TM-155.
func TestCopyOfARestingSessionEndsWithIt(t *testing.T) {
	for name, end := range map[string]func(*browser, *service){
		"logout": func(b *browser, _ *service) {
			page, _ := b.open("/.verified-id/logout")
			b.post("/.verified-id/logout", url.Values{"token": {tokenIn(b.t, page.Body.String())}})
		},
		"another holder verifies": func(b *browser, s *service) { b.finish(b.verifyAt(s, "/", "did:ion:ana", "did:ion:ben")) },
		"she verifies again":      func(b *browser, s *service) { b.finish(b.verifyAt(s, "/")) },
	} {
		t.Run(name, func(t *testing.T) {
			app, g, s := journeyGate(t, "", mailGate)
			other := presentation(g)
			other.Credential = "guest"
			held, _ := sessionOf(g, other, presentation(g, verifier.Claim{Name: "mail", Value: "ana@contoso.example"}))
			held.Subject = app.keys.subjectOf("did:ion:ana")
			rests := g.site.seal(held)
			held.Seen = testNow.Add(30 * time.Minute)
			copied := g.site.seal(held)

			setNow(held.Expires.Add(-time.Second))
			b, thief := newBrowser(t, g), newBrowser(t, g)
			b.cookies[g.site.session.Name], thief.cookies[g.site.session.Name] = rests, copied
			if _, u := b.open("/"); u.hits != 0 {
				t.Fatal("the session that has rested too long opens the app")
			}
			if _, u := thief.open("/"); u.hits != 1 {
				t.Fatal("the copy does not open the app before: this test shows nothing")
			}
			end(b, s)
			if _, u := thief.open("/"); u.hits != 0 {
				t.Error("the copy opens the app after its session has ended")
			}
			if page, _ := b.open("/.verified-id/session"); strings.Contains(page.Body.String(), `"guest"`) {
				t.Error("what had rested too long was carried on")
			}
		})
	}
}
