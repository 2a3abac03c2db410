// SPDX-License-Identifier: Apache-2.0

// Package canary finds in logs and test output what must never stand there: secrets, by their shapes, and the claims and secrets
// that the tests use. The tests check the logs of every Caddy they start with it, and `make test` everything that the tests print.
package canary

import (
	"regexp"
	"strings"
)

// shapes are secrets of any value.
var shapes = []struct {
	what    string
	pattern *regexp.Regexp
}{
	{"a signed token", regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`)},
	{"a private key", regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)},
	{"a cookie of ours", regexp.MustCompile(`verified-id[A-Za-z0-9.-]*=[A-Za-z0-9_-]{40,}`)},
	{"a callback key", regexp.MustCompile(`(?i)(Bearer |"(Authorization|Api-Key)":\[")[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}`)},
}

// words are what the tests' holders claim and what the tests keep secret.
var words = map[string]string{
	"CANARY-PHOTO": "a photo", "ana@contoso.example": "a mail address", "ana.lima@": "a mail address", "Ana Lima": "a name", "did:ion:ana": "a holder",
	"a secret for tests only": "a client secret", "canary-client-secret": "a client secret",
}

// Find says what stands in a text that must not, and where it begins; "" and -1 if nothing does.
func Find(text string) (what string, at int) {
	for _, shape := range shapes {
		if found := shape.pattern.FindStringIndex(text); found != nil {
			return shape.what, found[0]
		}
	}
	for word, what := range words {
		if at := strings.Index(text, word); at >= 0 {
			return what, at
		}
	}
	return "", -1
}
