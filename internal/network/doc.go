// SPDX-License-Identifier: Apache-2.0

// Package network asks the Verified ID Network which issuers there are and which credential types they have published: what the
// Entra admin center shows under "Select issuers". It is for the operator's commands; no gate depends on it.
//
// An answer is a hint and nobody's authority: issuers choose their names themselves, and a search finds every domain with the text
// in it. [Client.Resolve] takes an issuer only if its DID or its domain is exactly the one asked for.
//
// Source: Microsoft Learn, "Microsoft Entra Verified ID network API", 30 January 2025. It shows the lists bare; programs in use
// read them from {"value": […]}. Both are read.
package network
