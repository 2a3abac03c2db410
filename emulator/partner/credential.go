// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"errors"
	"fmt"
	"strings"
)

// Person is who the proofing form describes.
type Person struct {
	FirstName      string
	LastName       string
	DateOfBirth    string // YYYY-MM-DD
	DocumentNumber string
}

// TestPerson fills the form in advance.
var TestPerson = Person{FirstName: "Ana", LastName: "Lima", DateOfBirth: "1990-04-12", DocumentNumber: "X0000001"}

func (p Person) fullName() string { return p.FirstName + " " + p.LastName }

// Credential is a kind of card the partner issues.
type Credential struct {
	// Type as in the contract's manifest.
	Type string

	// Title and Description tell the person what it is.
	Title, Description string

	// Authority is the issuer DID in whose name the card is issued.
	Authority string

	// Manifest is the URL of the contract's manifest.
	Manifest string

	// Account gets the token; its tenant must own Authority. It is the partner's own, or one
	// the customer gave the partner to issue in the customer's name.
	Account Account

	// Claims makes the claims from the person's particulars, except the picture.
	Claims func(Person) map[string]string

	// PhotoClaim is the claim that takes the picture. Empty: none.
	PhotoClaim string
}

func (c *Credential) validate() error {
	if c.Type == "" || c.Authority == "" || c.Manifest == "" || c.Claims == nil {
		return errors.New("type, authority, manifest and claims are needed")
	}
	if err := checkURL(c.Manifest); err != nil {
		return fmt.Errorf("manifest %q: %w", c.Manifest, err)
	}
	return c.Account.validate()
}

// VerifiedIdentity is the card the IDV partners of Microsoft's Security Store issue, with the
// claims of Microsoft's sample and the picture in portrait.
func VerifiedIdentity(authority, manifest string, account Account) Credential {
	return Credential{
		Type: "VerifiedIdentity", Title: "Verified identity", Authority: authority, Manifest: manifest, Account: account,
		Description: "Says that your passport was checked. Shows name, date of birth and document number.",
		PhotoClaim:  "portrait",
		Claims: func(p Person) map[string]string {
			return map[string]string{
				"firstName":          p.FirstName,
				"lastName":           p.LastName,
				"fullName":           p.fullName(),
				"dateOfBirth":        p.DateOfBirth,
				"documentType":       "Passport",
				"documentNumber":     p.DocumentNumber,
				"documentExpiryDate": "2035-08-01",
			}
		},
	}
}

// VerifiedEmployee is the employee card with its fixed claims. domain makes the mail address
// and the user principal name.
//
// A partner issues it only when it works inside the customer's tenant; it is here so that one
// partner can supply every card a demonstration asks for.
func VerifiedEmployee(authority, manifest, domain string, account Account) Credential {
	return Credential{
		Type: "VerifiedEmployee", Title: "Employee card", Authority: authority, Manifest: manifest, Account: account,
		Description: "Says that you work at the company. Shows name, job title and mail address.",
		PhotoClaim:  "photo",
		Claims: func(p Person) map[string]string {
			mail := mailbox(p) + "@" + domain
			return map[string]string{
				"revocationId":      mail,
				"displayName":       p.fullName(),
				"givenName":         p.FirstName,
				"surname":           p.LastName,
				"jobTitle":          "Accountant",
				"preferredLanguage": "en-GB",
				"mail":              mail,
			}
		},
	}
}

// mailbox writes a name as the local part of a mail address, plain ASCII only.
func mailbox(p Person) string {
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, strings.ToLower(s))
	}
	first, last := plain(p.FirstName), plain(p.LastName)
	if first == "" || last == "" {
		return "test.person"
	}
	return first + "." + last
}
