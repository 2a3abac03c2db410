// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"fmt"
	"strings"
	"sync"
)

// authority is an [Authority] with its keys and its status list.
type authority struct {
	Authority

	hub  string // URL of the identity hub, where status lists are asked for
	rand *random
	list *statusList

	mu   sync.RWMutex
	keys []authorityKey // newest first; old ones stay so that old cards go on verifying
}

type authorityKey struct {
	privateKey

	id string // fragment, for example vcSigningKey-5b0d2
}

func newAuthority(config Authority, hub string, rand *random) *authority {
	a := &authority{Authority: config, hub: hub, rand: rand, list: newStatusList(rand)}
	a.rotate()
	return a
}

// rotate puts a fresh key in front of the others.
func (a *authority) rotate() {
	key := authorityKey{privateKey: newPrivateKey(a.KeyAlg, a.rand), id: "vcSigningKey-" + a.rand.hex(3)[:5]}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys = append([]authorityKey{key}, a.keys...)
}

// sign signs with the current key.
func (a *authority) sign(payload any) (string, error) {
	a.mu.RLock()
	key := a.keys[0]
	a.mu.RUnlock()
	return signToken(key.privateKey, a.DID+"#"+key.id, payload)
}

// document returns the DID document as Entra publishes it.
func (a *authority) document() didDocument {
	document := newDIDDocument(a.DID)
	document.Service = []didService{
		{ID: "#linkeddomains", Type: "LinkedDomains", Endpoint: serviceEndpoint{Origins: []string{a.LinkedDomain}}},
		{ID: "#hub", Type: "IdentityHub", Endpoint: serviceEndpoint{Instances: []string{a.hub}}},
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, key := range a.keys {
		kind := "JsonWebKey2020"
		if key.k1 != nil {
			kind = "EcdsaSecp256k1VerificationKey2019"
		}
		id := "#" + key.id
		document.VerificationMethod = append(document.VerificationMethod, verificationMethod{
			ID: id, Controller: a.DID, Type: kind, PublicKeyJWK: key.public().jwk(),
		})
		document.Authentication = append(document.Authentication, id)
		document.AssertionMethod = append(document.AssertionMethod, id)
	}
	return document
}

// resolve returns the DID document of an authority or of a holder.
func (e *Emulator) resolve(did string) (didDocument, error) {
	if a, ok := e.authorities[did]; ok {
		return a.document(), nil
	}
	if document, ok, err := resolveSelfContained(did); ok {
		return document, err
	}
	return didDocument{}, fmt.Errorf("resolving %s: no such DID here", method(did))
}

// method names the DID method for errors: holder DIDs are personal and stay out of texts.
func method(did string) string {
	parts := strings.SplitN(did, ":", 3)
	if len(parts) < 3 {
		return "what is no DID"
	}
	return parts[0] + ":" + parts[1]
}

// verifyToken checks a token's signature with the key its kid names and that the key belongs to signer.
func (e *Emulator) verifyToken(t signedToken, signer string, use relationship) error {
	if t.did() != signer {
		return fmt.Errorf("verifying token: signed with a key of another DID")
	}
	document, err := e.resolve(signer)
	if err != nil {
		return fmt.Errorf("verifying token: %w", err)
	}
	key, err := document.key(t.kid, use)
	if err != nil {
		return fmt.Errorf("verifying token: %w", err)
	}
	if err := t.verify(key); err != nil {
		return fmt.Errorf("verifying token: %w", err)
	}
	return nil
}

// RotateKey gives an authority a new signing key. Its old keys stay in the DID document, so that cards issued
// before go on verifying.
func (e *Emulator) RotateKey(did string) error {
	a, ok := e.authorities[did]
	if !ok {
		return fmt.Errorf("rotating key: %q is not an authority of this emulator", did)
	}
	a.rotate()
	return nil
}
