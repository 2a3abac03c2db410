// SPDX-License-Identifier: Apache-2.0

package idvredirect

import "slices"

// Preset is what is published about an IDV partner's credential, to fill in what an operator left out. It has neither
// the start URL, which the partner gives each customer, nor the issuer's DID or manifest, which no partner publishes or
// which have changed within a year: those must be configuration. Nor does it say which claim set the partner accepts.
type Preset struct {
	// Name is the word an operator writes, such as "au10tix".
	Name string

	// DisplayName is the partner's own spelling, for pages.
	DisplayName string

	// CredentialType is the type of the credential it issues through the Microsoft Security Store. Another product of the
	// same partner may issue another type.
	CredentialType string

	// PhotoClaim is the claim with the photo for Face Check; empty if not published.
	PhotoClaim string

	// Claims are the claims that credentials of the type may have. Not every partner fills every one.
	Claims []string
}

// storeClaims are the claims of VerifiedIdentity that Microsoft's account-recovery sample matches on.
var storeClaims = []string{
	"firstName", "lastName", "fullName", "dateOfBirth", "documentType", "documentId", "documentNumber",
	"documentExpiryDate", "homeAddress", "mobileNo",
}

// presets follow Microsoft's partner gallery of 8 October 2026.
var presets = []Preset{
	storePreset("1kosmos", "1Kosmos"),
	storePreset("au10tix", "AU10TIX"),
	storePreset("clear", "CLEAR"),
	storePreset("idemia", "IDEMIA"),
	storePreset("truecredential", "TrueCredential (LexisNexis)"),
	{Name: "vu", DisplayName: "VU", CredentialType: "VUIdentityCard"},
}

// Presets returns the known partners in the order of their names. The caller owns the result.
func Presets() []Preset {
	all := make([]Preset, len(presets))
	for i, preset := range presets {
		all[i] = preset.clone()
	}
	return all
}

// FindPreset returns the preset of that name.
func FindPreset(name string) (Preset, bool) {
	for _, preset := range presets {
		if preset.Name == name {
			return preset.clone(), true
		}
	}
	return Preset{}, false
}

func (p Preset) clone() Preset {
	p.Claims = slices.Clone(p.Claims)
	return p
}

func storePreset(name, displayName string) Preset {
	return Preset{
		Name: name, DisplayName: displayName,
		CredentialType: "VerifiedIdentity", PhotoClaim: "portrait", Claims: storeClaims,
	}
}
