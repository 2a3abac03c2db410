// SPDX-License-Identifier: Apache-2.0

// Package session keeps what must survive between two requests of one browser in the browser, and takes it back unharmed.
//
// A verified visitor gets a [Session] in a cookie. The cookie is sealed: nobody but us can read it or make one, and it opens
// only for the purpose, site and cookie name it was made for. So a request with a session needs neither store nor network.
//
//	ring, err := session.NewKeyRing(current, previous)
//	sealer := ring.Sealer(session.PurposeSession)
//	ad := session.AD("__Host-vid", "app.example")
//
//	err = cookie.Set(w.Header(), sealer.SealSession(s, ad), 8*time.Hour)
//
//	value, ok := session.FindCookie(r.Header, "__Host-vid")
//	s, err := sealer.OpenSession(value, ad)
//	if !s.Live(now, idle) { … }
//	session.StripCookies(r.Header, func(name string) bool { return name == "__Host-vid" })
//
// The same [KeyRing] seals what else leaves our hands and comes back, each under a purpose of its own: page tokens, the
// browser binding, the journey cookie, values in a shared store.
//
// The package does not know what a session is good for (see verifier.Requirement.Meets), nor which sessions have been ended
// early; the gate asks both.
package session
