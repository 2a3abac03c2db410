// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
)

// didPattern is what an issuer may look like. Operators read it in messages, and paste it into commands.
var didPattern = regexp.MustCompile(`^did:[a-z0-9]+:[A-Za-z0-9._:%-]+$`)

// ErrManifest says that what was read is no manifest that could be used. The text after it says why.
var ErrManifest = errors.New("manifest refused")

// maxManifest bounds a manifest, in bytes. Those of the store have some 10 KiB; logos are links.
const maxManifest = 512 << 10

// Contract is what a manifest says.
type Contract struct {
	// Type is the credential type.
	Type string `json:"type"`

	// Issuer is the DID that signs the credentials.
	Issuer string `json:"issuer"`

	// Claims are the names of the credential's claims, sorted.
	Claims []string `json:"claims,omitempty"`

	// Name is the card's title and IssuedBy the issuer's name, for people.
	Name     string `json:"name,omitempty"`
	IssuedBy string `json:"issued_by,omitempty"`

	// KeyID is the DID URL of the key by which the manifest says it is signed.
	KeyID string `json:"key_id"`

	// Digest is a SHA-256 in hex over all that the manifest says but its time, which is new in each answer.
	Digest string `json:"digest"`

	// Verified says that the signature is by a key of the issuer's DID document. Without, only TLS vouches for the manifest.
	Verified bool `json:"verified"`

	token token
}

// token is the signed text taken apart.
type token struct {
	algorithm, keyID string
	signed           string // header.payload
	signature        []byte
}

// Token returns the manifest's signed text, which [Parse] reads again.
func (c *Contract) Token() string {
	return c.token.signed + "." + base64.RawURLEncoding.EncodeToString(c.token.signature)
}

// Parse reads a manifest, {"token": "<JWT>"} or the JWT alone, and checks everything but its signature, for which see
// [Fetcher.Verify]. Errors wrap [ErrManifest].
func Parse(content []byte) (*Contract, error) {
	content = bytes.TrimSpace(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")))
	if len(content) > maxManifest {
		return nil, refused("it has more than %d bytes", maxManifest)
	}
	text := string(content)
	if strings.HasPrefix(text, "{") {
		var answer struct {
			Token string `json:"token"`
		}
		if err := jsonv2.Unmarshal(content, &answer); err != nil || answer.Token == "" {
			return nil, refused("the answer has no token")
		}
		text = answer.Token
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, refused("it is no JSON with a signed token, nor such a token")
	}
	header, err := decode[struct {
		Algorithm string   `json:"alg"`
		KeyID     string   `json:"kid"`
		Critical  []string `json:"crit"`
	}](parts[0])
	if err != nil {
		return nil, refused("its header cannot be read")
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(header.Critical) > 0 {
		return nil, refused("its signature or header has an unknown form")
	}
	said, err := parsePayload(parts[1])
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(header.KeyID, said.Issuer+"#") {
		return nil, refused("its key %q is none of its issuer %s", shorten(header.KeyID), said.Issuer)
	}
	said.KeyID = header.KeyID
	said.token = token{algorithm: header.Algorithm, keyID: header.KeyID, signed: parts[0] + "." + parts[1], signature: signature}
	return said, nil
}

func parsePayload(part string) (*Contract, error) {
	payload, err := decode[struct {
		Type    string `json:"id"`
		Issuer  string `json:"iss"`
		Display struct {
			Card struct {
				Title    string `json:"title"`
				IssuedBy string `json:"issuedBy"`
			} `json:"card"`
			Claims map[string]any `json:"claims"`
		} `json:"display"`
		Input struct {
			Issuer string `json:"issuer"`
		} `json:"input"`
	}](part)
	switch {
	case err != nil:
		return nil, refused("its content cannot be read")
	case !plain(payload.Type, 200) || strings.ContainsAny(payload.Type, " {}") || payload.Type == "VerifiableCredential":
		return nil, refused("it names no credential type of its own")
	case len(payload.Issuer) > 2048 || !didPattern.MatchString(payload.Issuer):
		return nil, refused("its issuer is no DID")
	case payload.Input.Issuer != "" && payload.Input.Issuer != payload.Issuer:
		return nil, refused("it names two issuers, %s and %s", payload.Issuer, shorten(payload.Input.Issuer))
	}
	said := &Contract{Type: payload.Type, Issuer: payload.Issuer}
	if plain(payload.Display.Card.Title, 200) {
		said.Name = payload.Display.Card.Title
	}
	if plain(payload.Display.Card.IssuedBy, 200) {
		said.IssuedBy = payload.Display.Card.IssuedBy
	}
	for name := range payload.Display.Claims {
		if name, ok := strings.CutPrefix(name, "vc.credentialSubject."); ok && plain(name, 200) {
			said.Claims = append(said.Claims, name)
		}
	}
	slices.Sort(said.Claims)
	all, err := decode[map[string]any](part)
	if err != nil {
		return nil, refused("its content cannot be read")
	}
	delete(all, "iat")
	text, err := json.Marshal(all) // with the members sorted
	if err != nil {
		return nil, refused("its content cannot be read")
	}
	sum := sha256.Sum256(text)
	said.Digest = hex.EncodeToString(sum[:])
	return said, nil
}

// decode reads a part of a token. A member that stands there twice is refused: two readers could take two meanings from it.
func decode[T any](part string) (into T, err error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return into, err
	}
	err = jsonv2.Unmarshal(text, &into)
	return into, err
}

// plain says whether a text is printable ASCII or letters of any script, there, and not too long.
func plain(s string, atMost int) bool {
	return s != "" && len(s) <= atMost && !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x2000 && r < 0x2070 || r == 0xfffd
	})
}

func shorten(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return s
}

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrManifest}, args...)...)
}
