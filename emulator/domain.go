// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
)

const (
	contextDIDConfiguration = "https://identity.foundation/.well-known/contexts/did-configuration-v0.0.jsonld"
	typeDomainLinkage       = "DomainLinkageCredential"
	domainLinkLifetime      = 10 * 365 * 24 * time.Hour
)

// didConfiguration is /.well-known/did-configuration.json.
type didConfiguration struct {
	Context    string   `json:"@context"`
	LinkedDIDs []string `json:"linked_dids"`
}

// domainLink is the payload of one entry of a [didConfiguration].
type domainLink struct {
	Sub string         `json:"sub"`
	Iss string         `json:"iss"`
	Nbf int64          `json:"nbf"`
	Exp int64          `json:"exp"`
	VC  domainLinkBody `json:"vc"`
}

type domainLinkBody struct {
	Context        []string          `json:"@context"`
	Issuer         string            `json:"issuer"`
	IssuanceDate   string            `json:"issuanceDate"`
	ExpirationDate string            `json:"expirationDate"`
	Type           []string          `json:"type"`
	Subject        domainLinkSubject `json:"credentialSubject"`
}

type domainLinkSubject struct {
	ID     string `json:"id"`
	Origin string `json:"origin"`
}

// didConfigurationOf makes the file for a host. Its first entry belongs to another DID, which the host had before:
// readers have to go through all entries. Hosts that no authority claims have no file.
func (e *Emulator) didConfigurationOf(host string) (didConfiguration, bool, error) {
	file := didConfiguration{Context: contextDIDConfiguration}
	found := false
	for _, a := range e.cast {
		if !strings.EqualFold(hostOf(a.LinkedDomain), host) {
			continue
		}
		if !found {
			found = true
			retired := "did:web:retired." + strings.ToLower(host)
			token, err := signToken(e.retired, retired+"#vcSigningKey-0", e.linkOf(retired, a.LinkedDomain))
			if err != nil {
				return file, false, err
			}
			file.LinkedDIDs = append(file.LinkedDIDs, token)
		}
		if !a.DomainVerified {
			continue
		}
		token, err := a.sign(e.linkOf(a.DID, a.LinkedDomain))
		if err != nil {
			return file, false, err
		}
		file.LinkedDIDs = append(file.LinkedDIDs, token)
	}
	return file, found, nil
}

func (e *Emulator) linkOf(did, origin string) domainLink {
	from := e.Now().Add(-30 * 24 * time.Hour).Truncate(time.Second).UTC()
	until := from.Add(domainLinkLifetime)
	return domainLink{
		Sub: did, Iss: did, Nbf: from.Unix(), Exp: until.Unix(),
		VC: domainLinkBody{
			Context: []string{contextCredentials, contextDIDConfiguration}, Issuer: did,
			IssuanceDate: from.Format(time.RFC3339), ExpirationDate: until.Format(time.RFC3339),
			Type: []string{typeCredential, typeDomainLinkage}, Subject: domainLinkSubject{ID: did, Origin: origin},
		},
	}
}

// linkedDomain looks for an origin that a DID document claims and that confirms it in return. fetch returns the
// did-configuration.json of a host. Without a confirmed origin it returns the first claimed one and false.
func linkedDomain(document didDocument, fetch func(host string) ([]byte, error), now time.Time) (origin string, verified bool) {
	for _, claimed := range document.linkedOrigins() {
		if origin == "" {
			origin = claimed
		}
		raw, err := fetch(hostOf(claimed))
		if err != nil {
			continue
		}
		var file didConfiguration
		if err := jsonv2.Unmarshal(raw, &file); err != nil {
			continue
		}
		confirms := func(token string) bool { return checkDomainLink(document, claimed, token, now) == nil }
		if slices.ContainsFunc(file.LinkedDIDs, confirms) {
			return claimed, true
		}
	}
	return origin, false
}

// checkDomainLink judges one entry of did-configuration.json.
func checkDomainLink(document didDocument, origin, token string, now time.Time) error {
	parsed, err := parseToken(token)
	if err != nil {
		return err
	}
	var link domainLink
	if err := parsed.claims(&link); err != nil {
		return err
	}
	key, err := document.key(parsed.kid, assertionMethod)
	if err != nil {
		return err
	}
	if err := parsed.verify(key); err != nil {
		return err
	}
	switch {
	case link.Iss != document.ID || link.Sub != document.ID || link.VC.Subject.ID != document.ID:
		return fmt.Errorf("checking domain link: it names another DID")
	case !slices.Contains(link.VC.Type, typeDomainLinkage):
		return fmt.Errorf("checking domain link: not a %s", typeDomainLinkage)
	case hostOf(link.VC.Subject.Origin) != hostOf(origin):
		return fmt.Errorf("checking domain link: it names another origin")
	case now.Before(time.Unix(link.Nbf, 0)) || now.After(time.Unix(link.Exp, 0)):
		return fmt.Errorf("checking domain link: it is not valid now")
	}
	return nil
}

// hostOf returns the host and port of an https origin, or nothing for anything else.
func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	return strings.ToLower(u.Host)
}
