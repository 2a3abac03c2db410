// SPDX-License-Identifier: Apache-2.0

package partner

import "testing"

// FuzzParseToken: whatever the link carries, taking it apart ends with a problem or with two
// objects, and never with a panic.
func FuzzParseToken(f *testing.F) {
	for _, seed := range []string{
		"", "a.b.c", "e30.e30.", "eyJhbGciOiJSUzI1NiJ9.eyJPcmdJZCI6ImNvbnRvc28ifQ.c2ln",
		"eyJhIjoxLCJhIjoyfQ.e30.", "e30=.e30.", "W10.e30.", "bnVsbA.e30.",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		token := parseToken(raw)
		if token.problem == "" && (token.header == nil || token.claims == nil) {
			t.Errorf("parseToken(%q) = no problem, but no header or claims", raw)
		}
		for _, claim := range token.claims {
			shown(claim)
			numericDate(claim)
			isAudience(claim, "x")
		}
	})
}
