// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"crypto/sha256"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// day is when the tests take place.
var day = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)

// whole compares all that a session holds; which key had sealed it is not of that.
var whole = cmpopts.IgnoreUnexported(session.Session{})

// testKey returns the same good key for the same n.
func testKey(n byte) []byte {
	sum := sha256.Sum256([]byte{n})
	return sum[:]
}

// sampleSession returns a session with two presentations that differ in every field.
func sampleSession() *session.Session {
	return &session.Session{
		ID:          "q2zXw3cYfHkPz6m1d0aB9g",
		Created:     day,
		Expires:     day.Add(8 * time.Hour),
		Seen:        day.Add(10 * time.Minute),
		Subject:     "8rJc2m0Qk5sT1vX7yZ3aBg",
		CrossDevice: true,
		Presentations: []verifier.Presentation{
			{
				Credential: "employee",
				Type:       "VerifiedEmployee",
				Issuer:     "did:web:verifiedid.contoso.com",
				Claims: []verifier.Claim{
					{Name: "displayName", Value: "Megan Bowen"},
					{Name: "jobTitle", Value: "Auditor"},
					{Name: "mail", Value: "megan@contoso.com"},
				},
				VerifiedAt:        day.Add(-time.Minute),
				FaceChecked:       true,
				FaceScore:         83.5,
				CredentialIssued:  day.AddDate(-1, 0, 0),
				CredentialExpires: day.AddDate(1, 0, 0),
				LinkedDomain:      "contoso.com",
				CrossDevice:       true,
				Policy:            "Zk3r9QpL0aM",
			},
			{
				Credential: "über",
				Type:       "IdentityCard",
				Issuer:     "did:web:idv.example",
				Claims:     []verifier.Claim{{Name: "name", Value: "Zoë 🦊"}},
				VerifiedAt: day,
				Revoked:    true,
				Policy:     "p",
			},
		},
	}
}
