// SPDX-License-Identifier: Apache-2.0

// Package partner is an identity-verification (IDV) partner for developing and testing: the
// party a relying party sends people to who have no credential yet.
//
// A person arrives at GET /{organisation}/?token=… with a kickstart token of the relying
// party. The partner checks it the way a strict partner would ([Organisation] says how),
// takes a few particulars of a test person and a stand-in for a selfie, asks the Request
// Service for an issuance with createIssuanceRequest, shows the QR code and the link, waits
// for the issuance_successful callback, and sends the person back to the token's redirectUrl.
//
//	p, err := partner.New(partner.Config{
//		PublicURL:   "http://localhost:8092",
//		ServiceURL:  "http://localhost:8090",
//		Credentials: []partner.Credential{partner.VerifiedIdentity(authority, manifest, account)},
//		Organisations: []partner.Organisation{{
//			ID: "contoso", Name: "Contoso Payroll",
//			JWKSURL:      "http://localhost:8080/.verified-id/jwks.json",
//			RedirectURLs: []string{"http://localhost:8080/.verified-id/return"},
//		}},
//	})
//	http.ListenAndServe("localhost:8092", p)
//
// A refused token is answered with a page that lists every check, which of them failed, what
// the rule is and what the token said: the reader is most likely the author of the token.
//
// [Personas] are the partners of Microsoft's gallery, played: each issues the type and the photo claim that the partner
// publishes, or one that is agreed on here, in its own tenant or in the customer's. [Fault] is for trying what becomes of
// visitors when a partner is in the wrong.
//
// The package is written against the published texts and the wire only. It shares no code
// with idvredirect, which makes the tokens, nor with verifier, nor on the wire with the
// emulator core: one common type would hide one common mistake.
//
// Differences from a real partner: nobody is checked, no document is read, the picture is
// drawn; particulars are kept in memory for an hour and go nowhere but into the card. The
// texts specify nothing about the return; this partner adds RequestId to the redirectUrl's
// query, or nothing ([Organisation.PlainReturn]).
package partner
