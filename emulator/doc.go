// SPDX-License-Identifier: Apache-2.0

// Package emulator is a Microsoft Entra Verified ID for one machine: both request APIs with their callbacks, the search for
// issuers, Entra's token endpoint, issuers with DID documents, linked domains, manifests and status lists, and wallets that stand for
// Microsoft Authenticator. Signatures are real. No tenant, phone, licence or internet is needed.
//
// It is for trying, developing and testing relying parties and issuers in any language: change the host names, keep the
// code. What the real service refuses, the emulator refuses with the same error body, because a lenient stand-in
// hides mistakes until production.
//
//	e, err := emulator.New(emulator.Config{PublicURL: "http://localhost:8090", TokenURL: "https://localhost:8091"})
//	// serve e.ServiceHandler() at PublicURL, and e.TokenHandler() at TokenURL with e.CA().TLSConfig()
//	e.IssueDemoCards(e.Wallet())
//	// now a relying party makes a request, shows its link, and the person opens and shares:
//	offer, err := e.Wallet().Open(ctx, link)
//	outcome, err := offer.Share(ctx, emulator.ShareOptions{FaceScore: 62})
//
// [Wallet] is the person's side, [Emulator.Faults] makes things go wrong on demand, [Emulator.Requests] and
// [Emulator.Callbacks] show what was said. Nothing is stored: cards and keys live as long as the [Emulator].
//
// # It cannot be mistaken for the real one
//
// Every answer has the header X-Verified-Id-Emulator. DIDs, linked domains and tenant domains must be reserved names
// (RFC 2606); real ones are refused in the configuration and in requests. Unless Config.AllowNonLoopback is set, it
// answers and calls this machine only. The pages that people see are in the packages beside this one.
//
// # Differences from the real service
//
// What the documents leave open, the emulator had to choose; clients must not depend on these choices:
//
//   - Callbacks are sent while the wallet waits, one at a time, with a limit of 10 s and without a second try. A
//     relying party that does not answer 2xx makes the wallet see status 500. request_retrieved comes before the
//     wallet gets the request, once for every time it is fetched.
//   - callback.url may use http towards this machine. It is checked by its syntax; nothing is called at creation.
//   - callback.state is required. Unknown members, duplicate names and a Content-Type other than JSON are errors.
//     JSON null counts as absent. Header names are compared without regard to case.
//   - Of several mistakes in a request the first is answered. The wording of some inner messages is ours.
//   - A request can be fetched again until it expires or was answered, each time with a fresh nonce. It can be answered
//     once: after presentation_verified and after presentation_error it is gone (404). An answer is taken up to
//     two minutes after the expiry if the request was fetched in time.
//   - An answer that fails a check other than the documented ones (a bad signature, a missing card) gives
//     presentation_error with code tokenError; an unmet constraint gives claimValidationError.
//   - verifiedCredentialsData comes in the reverse order of the request. domainValidation is there whenever the domain
//     verifies, also when it was not asked for.
//   - Face Check and receipt may be combined. The liveness credential and the receipt for it are signed by
//     did:web:facecheck.service.example; how the real ones look is not published. The score is whatever the person
//     chose, no picture is looked at.
//   - The wallet learns the threshold of a Face Check, so that its page can show it.
//   - A status list is read the moment a card is presented; the real service may go on accepting a card for a while.
//   - Declining a card offer gives issuance_error with message user_canceled.
//   - Contracts are issued through id_token_hint only. PINs can be tried without limit.
//   - Access tokens come from the emulator's own issuer; only version 1.0 tokens for its two services are made.
//     Managed identity endpoints are not emulated. Rate limits exist as [Faults] only.
//   - DID documents and did-configuration.json answer under their own Host and, since no DNS knows reserved names,
//     under /domains/{host}/.well-known/ too. The identity hub is at /v1.0/hub/{tenant}.
//   - The Network API knows every authority whose domain verifies, with all its contracts; nothing has to be published. Its
//     lists come as {"value": […]}, as programs in use read them; the documents show the bare list. A search looks for its text
//     anywhere in the linked domains, without regard to case. Text with a space, a quote or % is an error.
//   - The Admin API is missing; [Emulator.Revoke] takes the place of the revocation call.
package emulator
