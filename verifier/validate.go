// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// baseType is a type that every credential has. Asking for it asks for nothing.
const baseType = "VerifiableCredential"

const (
	minThreshold = 50
	maxThreshold = 100

	// maxNameBytes bounds names and single values. A holder DID, the longest thing seen, has some 750 bytes.
	maxNameBytes = 1024

	// maxListEntries bounds each list. A service provider with a customer per issuer has dozens.
	maxListEntries = 256
)

// Validate returns an error wrapping [ErrInvalidRequirement] if the requirement could accept somebody by mistake, could never
// accept anybody, or could not be sent. It names the field and never a value that may come from a visitor.
func (r Requirement) Validate() error {
	for _, check := range []func(*Requirement) error{
		(*Requirement).validateCredential,
		(*Requirement).validateIssuers,
		(*Requirement).validateFaceCheck,
		(*Requirement).validateLinkedDomains,
		(*Requirement).validateConstraints,
		(*Requirement).validateClaims,
	} {
		if err := check(&r); err != nil {
			return err
		}
	}
	return nil
}

func (r *Requirement) validateCredential() error {
	switch {
	case !isName(r.Credential):
		return invalid("credential name is missing, too long or holds control characters")
	case !isName(r.Type):
		return invalid("credential type is missing, too long or holds control characters")
	case r.Type == baseType:
		return invalid("credential type %s is the type of every credential", baseType)
	case r.Purpose != "" && !isName(r.Purpose):
		return invalid("purpose is too long or holds control characters")
	case r.MaxCredentialAge < 0:
		return invalid("maximum credential age is negative")
	}
	return nil
}

func (r *Requirement) validateIssuers() error {
	if len(r.AcceptedIssuers) == 0 {
		return invalid("accepted issuers are missing: the service would accept anyone's credential")
	}
	if len(r.AcceptedIssuers) > maxListEntries {
		return invalid("more than %d accepted issuers", maxListEntries)
	}
	for i, issuer := range r.AcceptedIssuers {
		if !isDID(issuer) {
			return invalid("accepted issuer %d is not a DID", i+1)
		}
		if slices.Contains(r.AcceptedIssuers[:i], issuer) {
			return invalid("accepted issuer %d is a repetition", i+1)
		}
	}
	return nil
}

func (r *Requirement) validateFaceCheck() error {
	if r.FaceCheck == nil {
		return nil
	}
	if !isName(r.FaceCheck.SourcePhotoClaim) {
		return invalid("photo claim is missing, too long or holds control characters")
	}
	if r.FaceCheck.Threshold < minThreshold || r.FaceCheck.Threshold > maxThreshold {
		return invalid("Face Check threshold is not between %d and %d", minThreshold, maxThreshold)
	}
	return nil
}

func (r *Requirement) validateLinkedDomains() error {
	if len(r.LinkedDomains) > 0 && r.SkipLinkedDomainCheck {
		return invalid("linked domains are listed although their check is skipped")
	}
	if len(r.LinkedDomains) > maxListEntries {
		return invalid("more than %d linked domains", maxListEntries)
	}
	for i, host := range r.LinkedDomains {
		if !isHost(host) {
			return invalid("linked domain %d is not a host name in lower case", i+1)
		}
	}
	return nil
}

func (r *Requirement) validateConstraints() error {
	if len(r.Constraints) > maxListEntries {
		return invalid("more than %d constraints", maxListEntries)
	}
	for i, c := range r.Constraints {
		operators := 0
		for _, set := range []bool{len(c.Values) > 0, c.Contains != "", c.StartsWith != ""} {
			if set {
				operators++
			}
		}
		switch {
		case !isName(c.ClaimName):
			return invalid("constraint %d: claim name is missing, too long or holds control characters", i+1)
		case r.isPhoto(c.ClaimName):
			return invalid("constraint %d: the photo claim is never read", i+1)
		case operators != 1:
			return invalid("constraint %d: exactly one of values, contains and startsWith must be set", i+1)
		case !areValues(c.Values) || len(c.Contains) > maxNameBytes || len(c.StartsWith) > maxNameBytes:
			return invalid("constraint %d: a value is empty or too long", i+1)
		}
	}
	return nil
}

func (r *Requirement) validateClaims() error {
	if len(r.RequiredClaims) > maxListEntries || len(r.Keep) > maxListEntries {
		return invalid("more than %d required or kept claims", maxListEntries)
	}
	for i, required := range r.RequiredClaims {
		switch {
		case !isName(required.Claim):
			return invalid("required claim %d: name is missing, too long or holds control characters", i+1)
		case r.isPhoto(required.Claim):
			return invalid("required claim %d: the photo claim is never read", i+1)
		case len(required.Values) == 0 || !areValues(required.Values):
			return invalid("required claim %d: a value is missing, empty or too long", i+1)
		}
	}
	switch {
	case r.SubjectClaim != "" && !isName(r.SubjectClaim):
		return invalid("subject claim: name is too long or holds control characters")
	case r.SubjectClaim != "" && r.isPhoto(r.SubjectClaim):
		return invalid("subject claim: the photo claim is never read")
	}
	for i, name := range r.Keep {
		if !isName(name) {
			return invalid("kept claim %d: name is missing, too long or holds control characters", i+1)
		}
		if r.isPhoto(name) {
			return invalid("kept claim %d: the photo claim is never kept", i+1)
		}
	}
	return nil
}

func (r *Requirement) isPhoto(name string) bool {
	return r.FaceCheck != nil && r.FaceCheck.SourcePhotoClaim == name
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalidRequirement}, args...)...)
}

// isName says whether a text can be a name or a line of text: there, bounded, no control or format characters, which could
// reorder what the holder reads in the wallet.
func isName(s string) bool {
	if s == "" || len(s) > maxNameBytes || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
	})
}

// areValues says whether each value is there and bounded. An empty one would come from an unset placeholder.
func areValues(values []string) bool {
	if len(values) > maxListEntries {
		return false
	}
	for _, v := range values {
		if v == "" || len(v) > maxNameBytes || !utf8.ValidString(v) {
			return false
		}
	}
	return true
}

// isDID says whether a text is a bare DID (W3C DID Core, section 3.1): no path, query or fragment, which would never equal
// what the service reports.
func isDID(s string) bool {
	rest, ok := strings.CutPrefix(s, "did:")
	method, id, found := strings.Cut(rest, ":")
	if !ok || !found || method == "" || id == "" || len(s) > maxNameBytes || strings.HasSuffix(id, ":") {
		return false
	}
	for _, c := range []byte(method) {
		if !isLowerAlnum(c) {
			return false
		}
	}
	for _, c := range []byte(id) {
		if !isAlnum(c) && !strings.ContainsRune(".-_:%", rune(c)) {
			return false
		}
	}
	return true
}

// isHost says whether a text is a host name in lower case, internationalised labels in their xn-- form, without port and
// trailing dot.
func isHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !isLowerAlnum(c) && c != '-' {
				return false
			}
		}
	}
	return true
}

func isAlnum(c byte) bool { return isLowerAlnum(c) || 'A' <= c && c <= 'Z' }

func isLowerAlnum(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
