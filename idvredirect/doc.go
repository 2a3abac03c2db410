// SPDX-License-Identifier: Apache-2.0

// Package idvredirect sends a visitor who has no credential yet to an identity-verification (IDV) partner, and lets the
// partner check who sent them.
package idvredirect
