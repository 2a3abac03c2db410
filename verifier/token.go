// SPDX-License-Identifier: Apache-2.0

package verifier

import "context"

// TokenSource provides access tokens for the Request Service, that is, app-only tokens of Microsoft Entra for the scope
// 3db474b9-6a0c-4840-96ac-1fceb342124f/.default.
//
// Implementations are safe for concurrent use, keep a token until shortly before it expires, and make at most one request
// at a time however many callers wait.
type TokenSource interface {
	// Token returns an access token. rejected is a token that the service has just refused with 401, or empty. The source
	// must not return that token again: it renews once, for all callers that bring the same rejected token. If another
	// caller has brought about a renewal meanwhile, the renewed token is the answer. An error text never holds a token or
	// a secret.
	Token(ctx context.Context, rejected string) (string, error)
}
