// SPDX-License-Identifier: Apache-2.0

// Package caddyemulator puts the emulator into Caddy: Request Service, wallet, token endpoint
// and IDV partner, for trying and testing on one machine. Only cmd/caddy imports it; a Caddy
// built with xcaddy does not have it.
//
// The app `verified_id_emulator` holds the emulator and serves the token endpoint, which must
// be https, on a loopback port of its own; the handler `http.handlers.verified_id_emulator`
// puts the rest into sites:
//
//	{
//		verified_id_emulator {
//			card VerifiedEmployee
//			partner {
//				organisation contoso http://localhost:8080
//			}
//		}
//	}
//
//	http://localhost:8090 {
//		verified_id_emulator service wallet
//	}
//
//	http://localhost:8092 {
//		verified_id_emulator partner
//	}
//
// Cards, open requests and visits survive a reload as long as the settings they depend on stay
// the same.
//
// The certificate of the token endpoint is made once and kept in Caddy's data folder;
// [ExportCertificate] tells its path to Caddyfiles as {env.VERIFIED_ID_EMULATOR_CA}.
package caddyemulator
