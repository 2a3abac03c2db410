// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

const (
	// policyBytes is how much of the hash [Requirement.Policy] keeps. Sessions hold it, so it is short; nobody but the
	// operator chooses what is hashed, so 96 bits are plenty.
	policyBytes = 12

	// policyBufferBytes is enough for the usual requirement to be hashed without touching the heap.
	policyBufferBytes = 512
)

// Policy returns a short hash, 16 characters of base64url, over what cannot be checked again later on a [Presentation]: type,
// photo claim, subject claim, linked domains and whether their check is skipped, whether revoked credentials and missing status pass, maximum
// credential age, constraints. It does not cover accepted issuers, threshold and required claims, which
// [Requirement.Meets] checks anew, nor a constraint that a required claim implies; so one presentation serves routes that bind
// it to a principal and routes that do not. Neither does it cover Keep and Purpose, which decide nothing.
//
// It is stable across processes and versions: a change of what it covers makes visitors present again.
func (r Requirement) Policy() string {
	var buffer [policyBufferBytes]byte
	var text [policyBytes * 4 / 3]byte
	r.policyText(&text, buffer[:0])
	return string(text[:])
}

// hasPolicy is r.Policy() == policy without allocation.
func (r *Requirement) hasPolicy(policy string) bool {
	var buffer [policyBufferBytes]byte
	var text [policyBytes * 4 / 3]byte
	r.policyText(&text, buffer[:0])
	return string(text[:]) == policy
}

func (r *Requirement) policyText(text *[policyBytes * 4 / 3]byte, buffer []byte) {
	sum := sha256.Sum256(r.appendPolicy(buffer))
	base64.RawURLEncoding.Encode(text[:], sum[:policyBytes])
}

// Fingerprint returns a hash, 22 characters of base64url, over the whole requirement. A transaction that was started for
// another fingerprint than the current one is dead.
func (r Requirement) Fingerprint() string {
	b := r.appendPolicy(nil)
	b = appendText(b, "fingerprint 1")
	b = appendText(b, r.Credential)
	b = appendTexts(b, r.AcceptedIssuers)
	if r.FaceCheck != nil {
		b = binary.BigEndian.AppendUint64(b, uint64(r.FaceCheck.Threshold))
	}
	b = appendConstraints(b, r.Constraints)
	b = appendCount(b, len(r.RequiredClaims))
	for _, required := range r.RequiredClaims {
		b = appendText(b, required.Claim)
		b = appendTexts(b, required.Values)
	}
	b = appendTexts(b, r.Keep)
	b = appendText(b, r.Purpose)
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// appendPolicy writes every part with its length before it, so that no two requirements share a text.
func (r *Requirement) appendPolicy(b []byte) []byte {
	b = appendText(b, "policy 1")
	b = appendText(b, r.Type)
	b = appendBool(b, r.FaceCheck != nil)
	if r.FaceCheck != nil {
		b = appendText(b, r.FaceCheck.SourcePhotoClaim)
	}
	b = appendBool(b, r.SkipLinkedDomainCheck)
	b = appendTexts(b, r.LinkedDomains)
	b = appendBool(b, r.AllowRevoked)
	b = appendBool(b, r.AllowMissingStatus)
	b = binary.BigEndian.AppendUint64(b, uint64(r.MaxCredentialAge))
	if r.SubjectClaim != "" { // a session's subject cannot be made anew
		b = appendText(b, "subject")
		b = appendText(b, r.SubjectClaim)
	}
	for i := range r.Constraints {
		if !r.implied(&r.Constraints[i]) {
			b = appendConstraints(b, r.Constraints[i:i+1])
		}
	}
	return b
}

// implied says whether the required claims leave the constraint nothing to refuse.
func (r *Requirement) implied(constraint *Constraint) bool {
	for i := range r.RequiredClaims {
		required := &r.RequiredClaims[i]
		if required.Claim != constraint.ClaimName || len(required.Values) == 0 {
			continue
		}
		all := true
		for _, value := range required.Values {
			all = all && constraint.holds(value)
		}
		if all {
			return true
		}
	}
	return false
}

func appendConstraints(b []byte, constraints []Constraint) []byte {
	b = appendCount(b, len(constraints))
	for i := range constraints {
		b = appendText(b, constraints[i].ClaimName)
		b = appendTexts(b, constraints[i].Values)
		b = appendText(b, constraints[i].Contains)
		b = appendText(b, constraints[i].StartsWith)
	}
	return b
}

func appendTexts(b []byte, texts []string) []byte {
	b = appendCount(b, len(texts))
	for _, text := range texts {
		b = appendText(b, text)
	}
	return b
}

func appendText(b []byte, text string) []byte { return append(appendCount(b, len(text)), text...) }

func appendCount(b []byte, n int) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
