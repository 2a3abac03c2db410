// SPDX-License-Identifier: Apache-2.0

// Package entra gets access tokens for the Verified ID services from Microsoft Entra, as an app without a user
// (client credentials), through azidentity. Its [Source] is a verifier.TokenSource.
//
// azidentity signs in and speaks the protocol; the package adds what a gate in front of a site needs: one request at a time
// however many visitors wait, renewal in the background before the token ends, one forced renewal when the service refuses
// it, errors in one line that say what to mend, and a cache that outlives a configuration reload ([Config.Key]).
//
//	source, err := entra.New(entra.Config{Tenant: "contoso.onmicrosoft.com", ClientID: id, ClientSecret: secret})
//
// Tokens are opaque here: nothing is read out of them, and no token or secret reaches a log or an error text.
package entra
