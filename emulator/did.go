// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"fmt"
	"slices"
	"strings"
)

// didDocument is a DID document as Entra writes it: relative key ids, and the base in the context.
type didDocument struct {
	ID                 string               `json:"id"`
	Context            []any                `json:"@context"`
	Service            []didService         `json:"service,omitempty"`
	VerificationMethod []verificationMethod `json:"verificationMethod"`
	Authentication     []string             `json:"authentication"`
	AssertionMethod    []string             `json:"assertionMethod"`
}

type didService struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Endpoint serviceEndpoint `json:"serviceEndpoint"`
}

type serviceEndpoint struct {
	Origins   []string `json:"origins,omitempty"`
	Instances []string `json:"instances,omitempty"`
}

type verificationMethod struct {
	ID           string `json:"id"`
	Controller   string `json:"controller"`
	Type         string `json:"type"`
	PublicKeyJWK jwk    `json:"publicKeyJwk"`
}

// relationship names what a key may be used for.
type relationship int

const (
	authentication  relationship = iota // the holder proves who he is
	assertionMethod                     // the issuer states something
)

func newDIDDocument(did string) didDocument {
	return didDocument{ID: did, Context: []any{"https://www.w3.org/ns/did/v1", map[string]string{"@base": did}}}
}

// key returns the key that kid, a DID URL, names, if the document allows it for use.
func (d didDocument) key(kid string, use relationship) (publicKey, error) {
	wanted := d.absolute(kid)
	allowed := d.Authentication
	if use == assertionMethod {
		allowed = d.AssertionMethod
	}
	if !slices.ContainsFunc(allowed, func(id string) bool { return d.absolute(id) == wanted }) {
		return publicKey{}, fmt.Errorf("finding key: the DID document names no such key for this use")
	}
	for _, method := range d.VerificationMethod {
		if d.absolute(method.ID) == wanted {
			return method.PublicKeyJWK.publicKey()
		}
	}
	return publicKey{}, fmt.Errorf("finding key: the DID document lists the key's use but not the key")
}

// absolute turns the spellings "#key", "key" and "did:…#key" into the last.
func (d didDocument) absolute(id string) string {
	if strings.HasPrefix(id, "did:") {
		return id
	}
	return d.ID + "#" + strings.TrimPrefix(id, "#")
}

// linkedOrigins returns the origins the document claims, as written.
func (d didDocument) linkedOrigins() []string {
	var origins []string
	for _, service := range d.Service {
		if service.Type == "LinkedDomains" {
			origins = append(origins, service.Endpoint.Origins...)
		}
	}
	return origins
}

// resolveSelfContained resolves the DID methods that need no directory: those of holders.
func resolveSelfContained(did string) (document didDocument, ok bool, err error) {
	switch {
	case strings.HasPrefix(did, ionPrefix):
		document, err = resolveION(did)
		return document, true, err
	case strings.HasPrefix(did, jwkPrefix):
		document, err = resolveDIDJWK(did)
		return document, true, err
	default:
		return didDocument{}, false, nil
	}
}
