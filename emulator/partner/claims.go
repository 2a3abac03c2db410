// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// The four claims of the published text, with its mixture of cases, and the usual ones a
// hardened token adds. Names are compared byte by byte.
var (
	requiredClaims = []string{"OrgId", "RequestId", "exp", "redirectUrl"}
	hardenedClaims = []string{"iss", "aud", "iat", "nbf", "jti"}
)

// maxRequestIDBytes is the longest correlation vector, the longest thing a RequestId is
// expected to be.
const maxRequestIDBytes = 128

// clockSkew is how far ahead of ours the clock of a relying party may be.
const clockSkew = time.Minute

// examineClaims judges the four documented claims.
func (o *organisation) examineClaims(r *report, claims map[string]any, now time.Time) Kickstart {
	var k Kickstart
	var missing []string
	text := func(name string) string {
		s, ok := claims[name].(string)
		if !ok || s == "" {
			missing = append(missing, name)
		}
		return s
	}
	k.OrgID = text("OrgId")
	k.RequestID = text("RequestId")
	exp, dated := numericDate(claims["exp"])
	if !dated {
		missing = append(missing, "exp")
	}
	k.RedirectURL = text("redirectUrl")
	k.Expires = exp

	r.add(checkClaims, len(missing) == 0, "Missing, empty or of the wrong type: "+strings.Join(missing, ", ")+".")
	r.add(checkOrganisation, k.OrgID == o.ID, fmt.Sprintf("The token says %s; this page belongs to %q.", shown(claims["OrgId"]), o.ID))
	r.add(checkRequestID, k.RequestID != "" && len(k.RequestID) <= maxRequestIDBytes && printable(k.RequestID),
		fmt.Sprintf("It is missing, longer than %d bytes, or has characters other than printable ASCII.", maxRequestIDBytes))
	if dated {
		r.add(checkExpiry, now.Before(exp), fmt.Sprintf("It ended at %s; now it is %s.", clock(exp), clock(now)))
		r.add(checkLifetime, exp.Sub(now) <= o.MaxTokenLifetime,
			fmt.Sprintf("It ends at %s, which is %s from now.", clock(exp), exp.Sub(now).Round(time.Second)))
	}
	r.add(checkRedirect, o.mayReturnTo(k.RedirectURL), fmt.Sprintf("The token says %s. Registered: %s.",
		shown(claims["redirectUrl"]), strings.Join(o.RedirectURLs, ", ")))
	return k
}

// examineHardened judges what a partner may ask for beyond the published text.
func (o *organisation) examineHardened(r *report, t parsedToken, now time.Time) {
	r.add(checkKeyID, t.keyID != "", "The header has no kid.")

	iss, _ := t.claims["iss"].(string)
	r.add(checkIssuer, iss != "" && (o.Issuer == "" || iss == o.Issuer),
		fmt.Sprintf("The token says %s; expected: %s.", shown(t.claims["iss"]), orSite(o.Issuer)))
	r.add(checkAudience, isAudience(t.claims["aud"], o.Audience),
		fmt.Sprintf("The token says %s; expected: %s.", shown(t.claims["aud"]), o.Audience))

	iat, issued := numericDate(t.claims["iat"])
	r.add(checkIssuedAt, issued && !iat.After(now.Add(clockSkew)), fmt.Sprintf("The token says %s; now it is %d.", shown(t.claims["iat"]), now.Unix()))
	nbf, valid := numericDate(t.claims["nbf"])
	r.add(checkNotBefore, valid && !nbf.After(now.Add(clockSkew)), fmt.Sprintf("The token says %s; now it is %d.", shown(t.claims["nbf"]), now.Unix()))

	jti, _ := t.claims["jti"].(string)
	r.add(checkTokenID, jti != "", "The token has no jti, or it is no text.")
}

// extraClaims lists, sorted, the claims beyond those the mode expects.
func (o *organisation) extraClaims(claims map[string]any) []string {
	var extra []string
	for name := range claims {
		if slices.Contains(requiredClaims, name) || (o.Mode == Hardened && slices.Contains(hardenedClaims, name)) {
			continue
		}
		extra = append(extra, name)
	}
	slices.Sort(extra)
	return extra
}

// isAudience accepts a string or an array with exactly one string: a token made out to
// several parties could be used by one of them at the other.
func isAudience(claim any, want string) bool {
	switch aud := claim.(type) {
	case string:
		return aud == want
	case []any:
		return len(aud) == 1 && aud[0] == any(want)
	}
	return false
}

// numericDate reads seconds since 1970 (RFC 7519, NumericDate). A number in a string is not
// one.
func numericDate(claim any) (time.Time, bool) {
	seconds, ok := claim.(float64)
	// The upper limit, year 9999, keeps the sum inside what time.Time can hold.
	if !ok || math.IsNaN(seconds) || seconds < 0 || seconds > 253402300799 {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0).UTC(), true
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7e })
}

func orSite(issuer string) string {
	if issuer == "" {
		return "a name for the relying party"
	}
	return issuer
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 on 2 January 2006 (UTC)") }

// shown writes a claim's value for the page, short.
func shown(claim any) string {
	if claim == nil {
		return "nothing"
	}
	s := fmt.Sprintf("%v", claim)
	if text, ok := claim.(string); ok {
		s = fmt.Sprintf("%q", text)
	}
	if number, ok := claim.(float64); ok {
		s = fmt.Sprintf("%.0f", number)
	}
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return s
}
