// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// referenceAccepts is a second, slow checker, written from the threat model (TM-068 to TM-073) and not from Evaluate: it makes a
// list of all objections and accepts if there is none. It shares no function with the package.
func referenceAccepts(want verifier.Requirement, got verifier.Callback, now time.Time) bool {
	return len(referenceObjections(want, got, now)) == 0
}

func referenceObjections(want verifier.Requirement, got verifier.Callback, now time.Time) (objections []string) {
	object := func(holds bool, format string, args ...any) {
		if !holds {
			objections = append(objections, fmt.Sprintf(format, args...))
		}
	}

	if err := want.Validate(); err != nil {
		return []string{err.Error()}
	}
	object(fmt.Sprint(got.Status) == "presentation_verified", "status")
	object(got.Error == nil, "error")
	object(len(got.Subject) > 0, "subject")
	object(len(got.Credentials) == 1, "number of credentials")
	if len(got.Credentials) != 1 {
		return objections
	}
	credential := got.Credentials[0]

	member := false
	for _, name := range credential.Types {
		member = member || name == want.Type
	}
	object(member, "type")
	accepted := false
	for _, issuer := range want.AcceptedIssuers {
		accepted = accepted || issuer == credential.Issuer
	}
	object(accepted, "issuer")

	statuses := map[string]bool{"VALID": true, "REVOKED": want.AllowRevoked, "": want.AllowMissingStatus}
	object(statuses[credential.RevocationStatus], "status")

	if len(want.LinkedDomains) > 0 {
		u, err := url.Parse(credential.DomainURL)
		listed := false
		for _, host := range want.LinkedDomains {
			plain := "https://" + host
			listed = listed || err == nil && strings.ToLower(u.Host) == host && len(u.Host) == len(host) &&
				strings.HasPrefix(credential.DomainURL, "https://") &&
				(strings.EqualFold(credential.DomainURL, plain) || strings.EqualFold(credential.DomainURL, plain+"/"))
		}
		object(listed, "linked domain")
	}

	minute := time.Minute
	if credential.ExpirationDate != "" {
		expires, err := time.Parse(time.RFC3339, credential.ExpirationDate)
		object(err == nil && !expires.IsZero() && !expires.Add(minute).Before(now), "expiration date")
	}
	if credential.IssuanceDate != "" {
		issued, err := time.Parse(time.RFC3339, credential.IssuanceDate)
		object(err == nil && !issued.IsZero() && !issued.After(now.Add(minute)), "issuance date")
		if err == nil && want.MaxCredentialAge > 0 {
			object(!issued.Before(now.Add(-minute).Add(-want.MaxCredentialAge)), "age")
		}
	} else {
		object(want.MaxCredentialAge == 0, "no issuance date")
	}

	if want.FaceCheck != nil {
		passed := false
		if credential.FaceCheck != nil {
			score := credential.FaceCheck.Score
			passed = score >= float64(want.FaceCheck.Threshold) && score >= 0 && score <= 100
		}
		object(passed, "face check")
	}

	claims := map[string]string{}
	for _, claim := range credential.Claims {
		if _, twice := claims[claim.Name]; !twice {
			claims[claim.Name] = claim.Value
		}
	}
	for _, constraint := range want.Constraints {
		value, there := claims[constraint.ClaimName]
		value = referenceUpper(value)
		holds := false
		for _, allowed := range constraint.Values {
			holds = holds || value == referenceUpper(allowed)
		}
		if constraint.Contains != "" {
			holds = strings.Contains(value, referenceUpper(constraint.Contains))
		}
		if constraint.StartsWith != "" {
			holds = strings.HasPrefix(value, referenceUpper(constraint.StartsWith))
		}
		object(there && holds, "constraint on %s", constraint.ClaimName)
	}
	for _, required := range want.RequiredClaims {
		value, there := claims[required.Claim]
		holds := false
		for _, allowed := range required.Values {
			holds = holds || value == allowed
		}
		object(there && holds, "required claim %s", required.Claim)
	}
	return objections
}

// referenceUpper is the upper case of every character that does not become an ASCII one by it.
func referenceUpper(s string) string {
	var b strings.Builder
	for _, r := range s {
		if upper := unicode.ToUpper(r); r <= unicode.MaxASCII || upper > unicode.MaxASCII {
			r = upper
		}
		b.WriteRune(r)
	}
	return b.String()
}
