// SPDX-License-Identifier: Apache-2.0

// Package verifiedid adds the verified_id gate to Caddy: from then on only people who present the right Microsoft Entra
// Verified ID reach the app, and the app gets their verified claims as request headers.
//
// Importing this package is all there is to do, and xcaddy does it:
//
//	xcaddy build --with github.com/caddy-verified-id/caddy-verified-id
//
// It exists because Caddy's documentation and download pages list modules by the root package. The modules themselves are
// in the folder caddymodule; the client of the Request Service, without Caddy, is in verifier; the redirect to
// identity-verification partners is in idvredirect.
package verifiedid

import (
	_ "github.com/caddy-verified-id/caddy-verified-id/caddymodule" // registers the modules
)
