// SPDX-License-Identifier: Apache-2.0

// Package caddymodule puts Microsoft Entra Verified ID in front of any site that Caddy serves. It is the only package that
// knows Caddy; what it means to verify a presentation is in package verifier, the way to a partner in idvredirect.
//
// # How a visit travels
//
//  1. A browser asks for /payroll. [Gate].ServeHTTP removes every identity header that the client sent, then opens the
//     session cookie (sessions.go). There is none.
//  2. The challenge (challenge.go): a page load is redirected to the start page, with the sealed visit (visit.go) in the
//     address; anything else gets 401 and problem+json. Nobody has been asked yet.
//  3. The start page (start.go) asks "do you have the card?". Its form makes a transaction, bound to this browser by a
//     cookie, and a presentation request at the Request Service.
//  4. The wait page (wait.go) shows QR code and link, and follows the transaction by server-sent events.
//  5. The Request Service calls back (callback.go): key, then state and request id, then verifier.Evaluate. Nothing else
//     ever makes a transaction verified.
//  6. The page posts finish (finish.go): the transaction is consumed, the session sealed into a cookie, and the visitor
//     sent to where they were going. The gate sets the claim headers (identity.go) from then on.
//  7. Who has no card goes to a partner with a signed one-time link (kickstart.go) and comes back to step 3.
//
// # Modules
//
// App verified_id; handlers http.handlers.verified_id, http.handlers.verified_id_callback and
// http.handlers.verified_id_strip; stores in the namespace
// http.verified_id.stores, of which memory is here; admin.api.verified_id.
//
// The placeholders are listed at [Gate], the headers at [Header].
package caddymodule
