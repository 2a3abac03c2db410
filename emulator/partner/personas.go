// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// Persona is one partner of Microsoft's gallery, played: its credential with the published type and photo claim, issued in
// its own tenant or in the customer's. What a partner does not publish is agreed with every customer; a persona has agreed on
// something too, and says so.
//
// A persona has nothing of the partner but these words. Its names are reserved ones: it cannot be taken for the real one.
type Persona struct {
	// Name is the word an operator writes: "au10tix".
	Name string

	// DisplayName is the partner's own spelling.
	DisplayName string

	// Type of the credential and the claim with the picture in it.
	Type, PhotoClaim string

	// TypeAgreed and PhotoAgreed say that the partner publishes none, and that ours is made up.
	TypeAgreed, PhotoAgreed bool

	// InCustomerTenant says that the credential is issued in the customer's tenant, under the customer's DID. May be changed.
	InCustomerTenant bool

	claims func(Person) map[string]string
}

// What personas agree on where nothing is published.
const (
	agreedType  = "AgreedIdentity"
	agreedPhoto = "photo"
)

// personas are written after Microsoft's partner gallery of 8 October 2026 and its pages about single partners, apart from
// the table of idvredirect.
var personas = []Persona{
	storePersona("1kosmos", "1Kosmos"),
	storePersona("au10tix", "AU10TIX"),
	agreedPersona("authid", "authID", false),
	storePersona("clear", "CLEAR"),
	agreedPersona("hypr", "HYPR Affirm", true),
	agreedPersona("id_dataweb", "ID Dataweb", false),
	storePersona("idemia", "IDEMIA"),
	agreedPersona("jumio", "Jumio", false),
	agreedPersona("lexisnexis", "LexisNexis", false),
	agreedPersona("onfido", "Onfido (Entrust)", true),
	agreedPersona("persona", "Persona", false),
	agreedPersona("transmit_security", "Transmit Security", true),
	storePersona("truecredential", "TrueCredential (LexisNexis)"),
	{
		Name: "vu", DisplayName: "VU", Type: "VUIdentityCard", PhotoClaim: agreedPhoto, PhotoAgreed: true,
		claims: func(p Person) map[string]string { // published in words only
			return map[string]string{
				"firstName": p.FirstName, "lastName": p.LastName, "number": p.DocumentNumber, "country": "AR", "region": "Córdoba",
				"gender": "F", "birthDate": p.DateOfBirth, "nationality": "AR",
			}
		},
	},
	agreedPersona("zealid", "ZealID", false),
}

// Personas returns all personas in the order of their names.
func Personas() []Persona { return slices.Clone(personas) }

// FindPersona returns the persona of that name. "entrust" is another word for onfido.
func FindPersona(name string) (Persona, bool) {
	if name == "entrust" {
		name = "onfido"
	}
	for _, p := range personas {
		if p.Name == name {
			return p, true
		}
	}
	return Persona{}, false
}

// storePersona is a partner of Microsoft's Security Store.
func storePersona(name, displayName string) Persona {
	return Persona{
		Name: name, DisplayName: displayName, Type: "VerifiedIdentity", PhotoClaim: "portrait",
		claims: VerifiedIdentity("", "", Account{}).Claims,
	}
}

// agreedPersona is a partner that publishes neither type nor claims.
func agreedPersona(name, displayName string, inCustomerTenant bool) Persona {
	return Persona{
		Name: name, DisplayName: displayName, Type: agreedType, PhotoClaim: agreedPhoto, TypeAgreed: true, PhotoAgreed: true,
		InCustomerTenant: inCustomerTenant,
		claims: func(p Person) map[string]string {
			return map[string]string{
				"firstName": p.FirstName, "lastName": p.LastName, "dateOfBirth": p.DateOfBirth, "documentNumber": p.DocumentNumber,
			}
		},
	}
}

// Title is what pages call the persona: nobody must take it for the partner.
func (p Persona) Title() string { return p.DisplayName + ", played by the emulator" }

// Authority is the DID in whose name the persona issues.
func (p Persona) Authority() string {
	if p.InCustomerTenant {
		return emulator.DemoAuthority
	}
	return "did:web:did." + p.host()
}

// Join makes the persona known to an emulator in the making: tenant, application, DID and contract. Those that it already has,
// or would have by default, stay.
func (p Persona) Join(c *emulator.Config) {
	cast := emulator.DefaultCast()
	if c.Clients == nil {
		c.Clients = cast.Clients
	}
	if c.Authorities == nil {
		c.Authorities = cast.Authorities
	}
	if c.Contracts == nil {
		c.Contracts = cast.Contracts
	}
	if !p.InCustomerTenant {
		c.Clients = append(slices.Clone(c.Clients), emulator.Client{
			ID: p.id("client"), Tenant: p.tenant(), Secret: emulator.PartnerClientSecret, Roles: []string{emulator.RoleIssueRequest},
		})
		c.Authorities = append(slices.Clone(c.Authorities), emulator.Authority{
			DID: p.Authority(), Name: p.Title(), Tenant: p.tenant(), LinkedDomain: "https://www." + p.host(), DomainVerified: true,
		})
	}
	contract := emulator.Contract{
		ID: p.contract(), Type: p.Type, Issuer: p.Authority(), PhotoClaim: p.PhotoClaim,
		Display: emulator.Display{
			Title: "Verified identity", IssuedBy: p.Title(), Description: "Identity checked against a government document",
			BackgroundColor: "#123456", TextColor: "#ffffff",
			ConsentTitle:        "Add your verified identity?",
			ConsentInstructions: "Add this card so that other organisations can check who you are.",
		},
	}
	for _, name := range slices.Sorted(maps.Keys(p.claims(TestPerson))) {
		contract.Claims = append(contract.Claims, emulator.ClaimRule{Name: name, Required: name == "firstName" || name == "lastName"})
	}
	contract.Claims = append(contract.Claims, emulator.ClaimRule{Name: p.PhotoClaim, Type: "image/jpg;base64url", Required: true})
	c.Contracts = append(slices.Clone(c.Contracts), contract)
}

// Credential is the card that the persona issues by an emulator that it has joined.
func (p Persona) Credential(e *emulator.Emulator) (Credential, error) {
	contract, err := e.Contract(p.contract())
	if err != nil {
		return Credential{}, fmt.Errorf("persona %s: %w", p.Name, err)
	}
	tenant, account := p.tenant(), Account{ClientID: p.id("client"), ClientSecret: emulator.PartnerClientSecret}
	where := "Issued in its own tenant."
	if p.InCustomerTenant { // by an application that the customer gave it
		tenant, account = emulator.DemoTenant, Account{ClientID: emulator.DemoClientID, ClientSecret: emulator.DemoClientSecret}
		where = "Issued in the customer's tenant."
	}
	account.TokenURL = e.TokenURL() + "/" + tenant + "/oauth2/v2.0/token"
	return Credential{
		Type: p.Type, Title: "Verified identity", Authority: p.Authority(), Manifest: e.ManifestURL(contract), Account: account,
		Description: "Says that your passport was checked. " + where, PhotoClaim: p.PhotoClaim, Claims: p.claims,
	}, nil
}

// host is under a reserved name.
func (p Persona) host() string { return strings.ReplaceAll(p.Name, "_", "-") + "-idv.example" }

func (p Persona) tenant() string { return p.id("tenant") }

func (p Persona) contract() string {
	if p.InCustomerTenant {
		return p.id("contract of the customer")
	}
	return p.id("contract")
}

// id is a GUID that is always the same.
func (p Persona) id(of string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://"+p.host()+"/"+of)).String()
}
