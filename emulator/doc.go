// SPDX-License-Identifier: Apache-2.0

// Package emulator is a Microsoft Entra Verified ID for one machine: Request Service, token endpoint, issuers and
// wallets, with real signatures and without a tenant, a phone or the internet.
package emulator
