// SPDX-License-Identifier: Apache-2.0

// Package idvredirect sends a visitor who has no credential yet to an identity-verification (IDV) partner, and lets the
// partner check who sent them. It is the integration guide for both sides.
//
// # The journey
//
// A relying party protects a site: only holders of a certain credential come in. A visitor without one is redirected to
// the partner with a kickstart URL, the partner's start URL with a signed token in it:
//
//	https://idv.example/contoso/?token=eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJPcmdJZCI6…
//
// The partner checks the token, proves the visitor's identity, issues the credential to their wallet, and sends them
// back to the token's redirectUrl. There the visitor presents the new credential. The redirects prove nothing to anybody;
// the token keeps strangers from using the partner at the organisation's cost, and the credential opens the door.
//
// # The token
//
// A compact JWT (RFC 7519), signed with RS256 by an RSA key of 2,048 bits or more. It says nothing about the person.
// Two claim sets are agreed at onboarding:
//
//	header   alg          "RS256"
//	         typ          "JWT"
//	         kid          hardened only: RFC 7638 thumbprint of the key
//	claims   OrgId        what the partner calls the relying party
//	         RequestId    random, fresh for every token: the one-time mark
//	         exp          Unix seconds; 5 minutes ahead by default, never more than 15
//	         redirectUrl  where the visitor goes afterwards; one fixed URL
//	         iss          hardened only: the relying party's public origin
//	         aud          hardened only: the partner, by default the origin of its start URL
//	         iat          hardened only: Unix seconds
//	         nbf          hardened only: iat − 30 s
//	         jti          hardened only: random
//
// [Minimal] is what Microsoft's integration guidance for Verified ID prescribes, with its spelling: two names upper
// camel, redirectUrl lower camel. A minimal token has no kid, so it must be tried against every published key. [Hardened]
// is better where the partner's check allows it: its aud keeps a token for one partner from working at another. With
// minimal claims, agree another OrgId with each partner, which then does the same.
//
// # The keys
//
// The relying party publishes its public keys as a JWK set (RFC 7517), by this project's gate at
//
//	https://<site>/.verified-id/jwks.json
//
// agreed at onboarding and fetched over https. Keep the set for an hour at most. A new key is published for more than an
// hour before its first use, and an old one for more than an hour after its last token has expired, so a partner who
// fetches once an hour never meets an unknown key. Whoever copies keys by hand adds the new one when told to, and removes
// the old one when told to. [KeySet] is this timeline.
//
// # For partners: what to check
//
// [Verify] does all of it, for partners written in Go. Others should do the same, in this order:
//
//  1. Exactly one token parameter in the query; its value at most 8 KiB; three parts of unpadded base64url.
//  2. The header is alg "RS256" and typ "JWT", and at most kid besides. Refuse every other algorithm before anything
//     else, none and HS256 above all. Refuse crit, jwk, jku, x5u and x5c. A kid is a look-up in the keys you have, never
//     an address, a path or a query.
//  3. The signature, by a key of this relying party: keep the keys of each customer apart.
//  4. Every agreed claim is there. Names are compared with their case, and none occurs twice.
//  5. exp is not past, and not further ahead than 15 minutes. Allow clocks 60 seconds. Hardened: iat and nbf are not in
//     the future; iss and aud are the expected ones, byte for byte.
//  6. OrgId is registered for this relying party.
//  7. redirectUrl equals a registered one byte for byte. No prefixes, no patterns: else the visitor's next page is
//     anybody's.
//  8. OrgId with RequestId has not been used before: one atomic step in a store all your servers share, kept until exp
//     and the 60 seconds. When the store does not answer, refuse.
//
// Then redirect once to a URL of your own without the token, answer with Referrer-Policy: no-referrer, and keep the
// query out of logs. When something is refused, show a page of your own and never follow the redirectUrl of a refused
// token. At the end redirect to redirectUrl as it is; nothing needs to be added, and nothing added is believed.
//
// A correlation vector travels beside all this in the header MS-CV, so that support can find a visit in everybody's logs.
// Call [CorrelationVector.Extend] on what comes in and [CorrelationVector.Increment] before each call that goes out.
//
// # For relying parties
//
// A [Partner] with its [URLTemplate] makes kickstart URLs by [Partner.Kickstart], signed with the key that
// [KeySet.Signing] gives. The package makes no network calls, keeps no files and has no clock of its own; where keys and
// marks are kept, who may start a journey and how often, is up to the caller. In this project that is the gate in
// caddymodule.
package idvredirect
