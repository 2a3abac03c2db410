// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// A session travels in a cookie, from one response to the next request.
func Example() {
	ring, err := session.NewKeyRing([]byte("32 random bytes in reality, here")) // from a file, or Caddy's storage
	if err != nil {
		panic(err)
	}
	sealer := ring.Sealer(session.PurposeSession)
	cookie := session.CookieConfig{Name: "__Host-vid", Secure: true}
	ad := session.AD(cookie.Name, "app.example")
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)

	response := make(http.Header)
	value := sealer.SealSession(&session.Session{
		ID:      "q2zXw3cYfHkPz6m1d0aB9g",
		Created: now,
		Seen:    now,
		Expires: now.Add(8 * time.Hour),
		Presentations: []verifier.Presentation{{
			Credential: "employee",
			Claims:     []verifier.Claim{{Name: "displayName", Value: "Megan Bowen"}},
		}},
	}, ad)
	if err := cookie.Set(response, value, 8*time.Hour); err != nil {
		panic(err)
	}

	request := http.Header{"Cookie": {"theme=dark; " + cookie.Name + "=" + value}}
	text, _ := session.FindCookie(request, cookie.Name)
	s, err := sealer.OpenSession(text, ad)
	if err != nil || !s.Live(now.Add(time.Hour), 0) {
		panic("no session")
	}
	name, _ := s.Presentations[0].Claim("displayName")
	fmt.Println(name)

	session.StripCookies(request, func(name string) bool { return name == cookie.Name })
	fmt.Println(request.Get("Cookie"))

	_, err = sealer.OpenSession(text, session.AD(cookie.Name, "other.example"))
	fmt.Println(err)
	// Output:
	// Megan Bowen
	// theme=dark
	// not opened
}
