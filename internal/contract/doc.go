// SPDX-License-Identifier: Apache-2.0

// Package contract reads the manifest of a credential's contract: the signed text by which its issuer says which type it issues,
// with which claims, under which DID. An operator names the manifest's address in place of type and issuer.
//
// What is fetched is nobody's authority by itself: [Fetcher.Get] asks the address that the operator has written, and the host of the
// issuer's own did:web for the key, and nobody else, over https, at public addresses, without following redirects. Whoever uses
// a [Contract] keeps the first one and refuses another issuer or type later.
package contract
