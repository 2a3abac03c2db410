// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"slices"
	"time"
)

const photoDisplayType = "image/jpg;base64url"

// DefaultCast returns who takes part when a [Config] names no Clients, Authorities and Contracts, for those who want to add
// somebody. Its other fields are empty. The caller owns it.
func DefaultCast() Config {
	authorities := defaultAuthorities()
	return Config{Clients: defaultClients(), Authorities: authorities, Contracts: defaultContracts(authorities)}
}

func defaultClients() []Client {
	return []Client{
		{ID: DemoClientID, Secret: DemoClientSecret},
		{ID: PartnerClientID, Tenant: PartnerTenant, Secret: PartnerClientSecret, Roles: []string{RoleIssueRequest}},
		{ID: MalloryClientID, Tenant: MalloryTenant, Secret: MalloryClientSecret},
	}
}

func defaultAuthorities() []Authority {
	return []Authority{
		{DID: DemoAuthority, Name: "Contoso", DomainVerified: true},
		{
			DID: PartnerAuthority, Name: "Fabrikam Identity Check", Tenant: PartnerTenant,
			LinkedDomain: "https://www.fabrikam-idv.example", DomainVerified: true,
		},
		{DID: MalloryAuthority, Name: "Contoso", Tenant: MalloryTenant, LinkedDomain: "https://verifiedid.contoso.example"},
	}
}

// defaultContracts leaves out the contracts whose issuer is not in the cast.
func defaultContracts(cast []Authority) []Contract {
	all := []Contract{employeeContract(), identityContract(), malloryContract()}
	return slices.DeleteFunc(all, func(c Contract) bool {
		return !slices.ContainsFunc(cast, func(a Authority) bool { return a.DID == c.Issuer })
	})
}

// employeeContract has the fixed claims of VerifiedEmployee.
func employeeContract() Contract {
	return Contract{
		ID:     "b0a7c3d5-91e2-4f68-8a3c-6d5e4f302b19",
		Type:   "VerifiedEmployee",
		Issuer: DemoAuthority,
		Claims: []ClaimRule{
			{Name: "displayName", Label: "Name", Required: true},
			{Name: "givenName", Label: "First name"},
			{Name: "surname", Label: "Last name"},
			{Name: "jobTitle", Label: "Job title"},
			{Name: "mail", Label: "E-mail"},
			{Name: "preferredLanguage", Label: "Language"},
			{Name: "revocationId", Label: "User name", Required: true, Indexed: true},
			{Name: "photo", Label: "Photo", Type: photoDisplayType},
		},
		PhotoClaim:         "photo",
		ClaimInjectionOnly: true,
		Display: Display{
			Title: "Verified employee", IssuedBy: "Contoso", Description: "Proof of employment at Contoso",
			BackgroundColor: "#0b3d5c", TextColor: "#ffffff",
			ConsentTitle:        "Add your Contoso employee card?",
			ConsentInstructions: "Show this card where somebody asks whether you work for Contoso.",
		},
	}
}

// identityContract has the usual claims of a store-bought VerifiedIdentity.
func identityContract() Contract {
	return Contract{
		ID:     "2f7c9e10-6b3d-4a58-9c01-d4e5f6a7b8c9",
		Type:   "VerifiedIdentity",
		Issuer: PartnerAuthority,
		Claims: []ClaimRule{
			{Name: "firstName", Label: "First name", Required: true},
			{Name: "lastName", Label: "Last name", Required: true},
			{Name: "fullName", Label: "Full name"},
			{Name: "dateOfBirth", Label: "Date of birth"},
			{Name: "documentType", Label: "Document type"},
			{Name: "documentNumber", Label: "Document number", Indexed: true},
			{Name: "documentExpiryDate", Label: "Document expires"},
			{Name: "portrait", Label: "Portrait", Type: photoDisplayType},
		},
		PhotoClaim:            "portrait",
		Validity:              90 * 24 * time.Hour,
		AllowValidityOverride: true,
		Display: Display{
			Title: "Verified identity", IssuedBy: "Fabrikam Identity Check",
			Description:     "Identity checked against a government document",
			BackgroundColor: "#123456", TextColor: "#ffffff",
			LogoURL: "https://www.fabrikam-idv.example/logo.png", LogoDescription: "Fabrikam logo",
			ConsentTitle:        "Add your verified identity?",
			ConsentInstructions: "Add this card so that other organisations can check who you are.",
		},
	}
}

// malloryContract looks like the real employee card in everything but its issuer.
func malloryContract() Contract {
	c := employeeContract()
	c.ID = "0bad0bad-91e2-4f68-8a3c-6d5e4f302b19"
	c.Issuer = MalloryAuthority
	c.ClaimInjectionOnly = false
	return c
}

// AnaLima returns the claims of the person whom fixtures and default cards are about, by contract type:
// VerifiedEmployee or VerifiedIdentity, photo included. Other types have none.
func AnaLima(contractType string) map[string]string {
	switch contractType {
	case "VerifiedEmployee":
		return map[string]string{
			"revocationId":      "ana.lima@contoso.example",
			"displayName":       "Ana Lima",
			"givenName":         "Ana",
			"surname":           "Lima",
			"jobTitle":          "Payroll Specialist",
			"preferredLanguage": "en-US",
			"mail":              "ana.lima@contoso.example",
			"photo":             Portrait(1),
		}
	case "VerifiedIdentity":
		return map[string]string{
			"firstName":          "Ana",
			"lastName":           "Lima",
			"fullName":           "Ana Lima",
			"dateOfBirth":        "1990-04-12",
			"documentType":       "Passport",
			"documentNumber":     "X0000001",
			"documentExpiryDate": "2031-08-01",
			"portrait":           Portrait(1),
		}
	default:
		return nil
	}
}
