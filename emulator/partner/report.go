// SPDX-License-Identifier: Apache-2.0

package partner

// check is one thing a strict partner looks at. The name is the id of its line on the page,
// for tests and for people who talk to each other about it; the rule is what it demands.
type check struct{ name, rule string }

// The checks, in the order of the page.
var (
	checkForm         = check{"form", "The token is a compact JWT: three base64url parts, header and claims JSON objects with each name once."}
	checkAlgorithm    = check{"algorithm", "The algorithm is RS256 and nothing else. The partner decides this, not the token: a token that may choose can choose “none”."}
	checkHeader       = check{"header", "The header says typ JWT, or no typ, and has no crit."}
	checkSignature    = check{"signature", "The signature is by a key the organisation has published or handed over."}
	checkClaims       = check{"claims", "OrgId, RequestId and redirectUrl are texts, exp is a number; written exactly so."}
	checkOrganisation = check{"organisation", "OrgId is the organisation this start page belongs to."}
	checkRequestID    = check{"request-id", "RequestId is a short printable text."}
	checkExpiry       = check{"expiry", "The token has not expired."}
	checkLifetime     = check{"lifetime", "The token ends soon. A long-lived token in a link is a password in a log."}
	checkRedirect     = check{"redirect", "redirectUrl is one of the addresses registered for the organisation."}
	checkKeyID        = check{"key-id", "Hardened: the header names its key with kid."}
	checkIssuer       = check{"issuer", "Hardened: iss names the relying party."}
	checkAudience     = check{"audience", "Hardened: aud is this partner and nobody else."}
	checkIssuedAt     = check{"issued-at", "Hardened: iat is there and not in the future."}
	checkNotBefore    = check{"not-before", "Hardened: nbf is there and has come."}
	checkTokenID      = check{"token-id", "Hardened: jti is there."}
	checkExtra        = check{"extra-claims", "There are no other claims."}
	checkOnce         = check{"once", "The RequestId has not been used before."}
)

// Finding is the outcome of one check, as the page shows it.
type Finding struct {
	// Name of the check, stable.
	Name string

	// Rule says what was demanded.
	Rule string

	// Passed tells whether it held.
	Passed bool

	// Detail says what was found instead; empty when it passed.
	Detail string
}

// report collects the findings of one token.
type report struct {
	findings []Finding
	said     string // header and claims as the token has them, not believed
}

func (r *report) add(c check, passed bool, detail string) {
	f := Finding{Name: c.name, Rule: c.rule, Passed: passed}
	if !passed {
		f.Detail = detail
	}
	r.findings = append(r.findings, f)
}

func (r *report) ok() bool {
	for _, f := range r.findings {
		if !f.Passed {
			return false
		}
	}
	return len(r.findings) > 0
}

// failed names the checks that did not hold, for the log.
func (r *report) failed() []string {
	var names []string
	for _, f := range r.findings {
		if !f.Passed {
			names = append(names, f.Name)
		}
	}
	return names
}
