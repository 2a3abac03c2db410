// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const ionPrefix = "did:ion:"

// ionLongForm is the part after the second colon of a long-form did:ion: everything needed to resolve it offline.
type ionLongForm struct {
	Delta      ionDelta      `json:"delta"`
	SuffixData ionSuffixData `json:"suffixData"`
}

type ionDelta struct {
	Patches          []ionPatch `json:"patches"`
	UpdateCommitment string     `json:"updateCommitment"`
}

type ionPatch struct {
	Action   string      `json:"action"`
	Document ionDocument `json:"document"`
}

type ionDocument struct {
	PublicKeys []ionKey `json:"publicKeys"`
}

type ionKey struct {
	ID           string   `json:"id"`
	PublicKeyJWK jwk      `json:"publicKeyJwk"`
	Purposes     []string `json:"purposes"`
	Type         string   `json:"type"`
}

type ionSuffixData struct {
	DeltaHash          string `json:"deltaHash"`
	RecoveryCommitment string `json:"recoveryCommitment"`
}

// newION makes a long-form did:ion around one key whose id is "sign". Like those of the real wallet it has about 750 characters.
func newION(key publicKey, rand *random) (did string, err error) {
	delta := ionDelta{
		Patches: []ionPatch{{Action: "replace", Document: ionDocument{PublicKeys: []ionKey{{
			ID: "sign", PublicKeyJWK: key.jwk(), Purposes: []string{"authentication"}, Type: "EcdsaSecp256k1VerificationKey2019",
		}}}}},
		// Commitments are hashes of keys for later updates, which nobody will ever make.
		UpdateCommitment: multihash(rand.bytes(32)),
	}
	canonicalDelta, err := canonicalJSON(delta)
	if err != nil {
		return "", err
	}
	suffix := ionSuffixData{DeltaHash: multihash(canonicalDelta), RecoveryCommitment: multihash(rand.bytes(32))}
	canonicalSuffix, err := canonicalJSON(suffix)
	if err != nil {
		return "", err
	}
	long, err := canonicalJSON(ionLongForm{Delta: delta, SuffixData: suffix})
	if err != nil {
		return "", err
	}
	return ionPrefix + multihash(canonicalSuffix) + ":" + base64.RawURLEncoding.EncodeToString(long), nil
}

// resolveION reads a long-form did:ion and checks that its suffix and its delta hash fit its content.
// Short forms need a network and the old -ion-initial-state parameter is dead; both are refused.
func resolveION(did string) (didDocument, error) {
	suffix, long, ok := strings.Cut(strings.TrimPrefix(did, ionPrefix), ":")
	if !ok || strings.Contains(did, "?") {
		return didDocument{}, errors.New("resolving did:ion: not the long form")
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(long)
	if err != nil {
		return didDocument{}, errors.New("resolving did:ion: long form is not base64url")
	}
	var raw struct {
		Delta      jsontext.Value `json:"delta"`
		SuffixData jsontext.Value `json:"suffixData"`
	}
	var parsed ionLongForm
	if err := errors.Join(jsonv2.Unmarshal(data, &raw), jsonv2.Unmarshal(data, &parsed)); err != nil {
		return didDocument{}, fmt.Errorf("resolving did:ion: %w", err)
	}
	if err := errors.Join(raw.Delta.Canonicalize(), raw.SuffixData.Canonicalize()); err != nil {
		return didDocument{}, fmt.Errorf("resolving did:ion: %w", err)
	}
	switch {
	case multihash(raw.SuffixData) != suffix:
		return didDocument{}, errors.New("resolving did:ion: suffix does not fit the suffix data")
	case multihash(raw.Delta) != parsed.SuffixData.DeltaHash:
		return didDocument{}, errors.New("resolving did:ion: delta hash does not fit the delta")
	}
	document := newDIDDocument(did)
	for _, patch := range parsed.Delta.Patches {
		if patch.Action != "replace" {
			return didDocument{}, fmt.Errorf("resolving did:ion: patch action %q", patch.Action)
		}
		for _, key := range patch.Document.PublicKeys {
			document.VerificationMethod = append(document.VerificationMethod, verificationMethod{
				ID: "#" + strings.TrimPrefix(key.ID, "#"), Controller: did, Type: key.Type, PublicKeyJWK: key.PublicKeyJWK,
			})
			for _, purpose := range key.Purposes {
				switch purpose {
				case "authentication":
					document.Authentication = append(document.Authentication, "#"+key.ID)
				case "assertionMethod":
					document.AssertionMethod = append(document.AssertionMethod, "#"+key.ID)
				}
			}
		}
	}
	return document, nil
}

// multihash is base64url(0x12 0x20 ‖ SHA-256), the only hash of did:ion.
func multihash(b []byte) string {
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(append([]byte{0x12, 0x20}, sum[:]...))
}

// canonicalJSON is RFC 8785 (JCS).
func canonicalJSON(v any) (jsontext.Value, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding canonical JSON: %w", err)
	}
	value := jsontext.Value(b)
	if err := value.Canonicalize(); err != nil {
		return nil, fmt.Errorf("encoding canonical JSON: %w", err)
	}
	return value, nil
}
