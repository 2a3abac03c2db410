// SPDX-License-Identifier: Apache-2.0

// Package verifier is a relying party of the Microsoft Entra Verified ID Request Service: it asks for a presentation,
// reads what the service calls back with, and decides whether that is what was asked for.
//
// A visit travels through the package like this:
//
//	Requirement ─► PresentationRequest ─► Client.CreatePresentationRequest ─► CreatedRequest (deep link, expiry)
//	callback body ─► ParseCallback ─► Callback ─► Evaluate(Requirement, Callback) ─► Presentation, or a Refusal with its Reason
//	Transaction: created ─► retrieved ─► verified ─► consumed, kept in a Store
//	later requests: Requirement.Meets(Presentation)
//
// [Evaluate] is the heart. The service saying "verified" is not enough: everything that was asked for is compared again
// with what came back, and what cannot be compared is refused.
//
// The package knows nothing about browsers, cookies, sessions or Caddy, opens no listener, keeps no global state, and reads no
// environment variable but those for a proxy, as net/http does. Time and randomness come in as parameters. Nothing it logs or puts in an error text holds a
// claim value, a token, a callback key or a request body.
//
// Tests of code that uses this package, and of other [Store] implementations, find help in the package verifiertest.
package verifier
