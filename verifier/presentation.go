// SPDX-License-Identifier: Apache-2.0

package verifier

import "time"

// Presentation is what has passed [Evaluate]: who the holder is, said by whom, proven when and how. A session keeps it,
// and [Requirement.Meets] asks it later whether it is still enough.
type Presentation struct {
	// Credential is the operator's name of the credential, [Requirement.Credential].
	Credential string `json:"c"`

	// Type is the credential type.
	Type string `json:"t"`

	// Issuer is the DID that issued the credential.
	Issuer string `json:"i"`

	// Subject says who the holder is: the holder's DID as the service gave it, which is another one after the wallet was
	// installed anew, or, with [Requirement.SubjectClaim], a text made of the issuer, the claim's name and its value, so that
	// two issuers never name the same holder. Opaque; a session stores a keyed hash in its place.
	Subject string `json:"s,omitempty"`

	// Claims are the kept claims, sorted by name.
	Claims []Claim `json:"cl,omitempty"`

	// VerifiedAt is when it passed, by our clock.
	VerifiedAt time.Time `json:"v"`

	// FaceChecked says that a Face Check was demanded and passed; FaceScore is its score, 0 to 100.
	FaceChecked bool    `json:"f,omitempty"`
	FaceScore   float64 `json:"fs,omitempty"`

	// CredentialIssued and CredentialExpires are the credential's own dates. Zero if it has none.
	CredentialIssued  time.Time `json:"ci,omitzero"`
	CredentialExpires time.Time `json:"ce,omitzero"`

	// LinkedDomain is the host linked to the issuer, in lower case. Empty if the service reported none.
	LinkedDomain string `json:"d,omitempty"`

	// Revoked says that the credential is revoked and passed only because of [Requirement.AllowRevoked].
	Revoked bool `json:"r,omitempty"`

	// CrossDevice says that the wallet was on another device than the browser. Evaluate leaves it false; whoever sees the
	// browser sets it.
	CrossDevice bool `json:"x,omitempty"`

	// Policy is the [Requirement.Policy] it passed.
	Policy string `json:"p"`
}

// Claim is one claim of a credential.
type Claim struct {
	// Name is the claim's name inside the credential, case-sensitive.
	Name string `json:"n"`

	// Value is the claim's value; see [ParseCallback] for values that are not strings.
	Value string `json:"v"`
}

// Claim returns the value of the named kept claim, and whether there is one. It does not allocate.
func (p *Presentation) Claim(name string) (string, bool) { return findClaim(p.Claims, name) }

// findClaim searches linearly: credentials have a dozen claims, kept are a handful.
func findClaim(claims []Claim, name string) (string, bool) {
	for i := range claims {
		if claims[i].Name == name {
			return claims[i].Value, true
		}
	}
	return "", false
}
