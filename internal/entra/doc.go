// SPDX-License-Identifier: Apache-2.0

// Package entra gets access tokens for the Request Service from Microsoft Entra ID, with an application's secret or
// certificate, a managed identity, or a workload identity. It is a verifier.TokenSource around azidentity that adds what a
// busy gate needs: one fetch at a time, renewal before the end, and one forced renewal when the service refuses a token.
//
// Tokens are never parsed for decisions and never logged.
package entra
