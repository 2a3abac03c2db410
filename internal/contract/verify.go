// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
)

// ErrUnresolved says that the issuer's DID document could not be had, so that nothing is known about the signature. The reason
// is in the text: a DID method other than did:web, or a host that does not answer.
var ErrUnresolved = errors.New("the issuer's DID document cannot be had")

// didDocument is what we read of one.
type didDocument struct {
	ID              string   `json:"id"`
	AssertionMethod []any    `json:"assertionMethod"`
	Methods         []method `json:"verificationMethod"`
}

type method struct {
	ID  string `json:"id"`
	JWK struct {
		KeyType string `json:"kty"`
		Curve   string `json:"crv"`
		X       string `json:"x"`
		Y       string `json:"y"`
	} `json:"publicKeyJwk"`
}

// Verify checks the signature against the issuer's DID document and sets c.Verified. An error that wraps [ErrUnresolved] says that there
// was nothing to check against; one that wraps [ErrManifest], that the signature is not the issuer's.
//
// The key is the one that the document lists under the token's kid for statements of the issuer, and its kind decides the
// algorithm (RFC 8725, section 3.1): neither "none" nor an HMAC with a public key can come in.
func (f *Fetcher) Verify(ctx context.Context, c *Contract) error {
	address, err := didWebURL(c.Issuer)
	if err != nil {
		return err
	}
	content, err := f.get(ctx, address)
	if err != nil {
		return errors.Join(ErrUnresolved, err)
	}
	var document didDocument
	if err := jsonv2.Unmarshal(content, &document); err != nil || document.ID != c.Issuer {
		return refused("what %s serves is no DID document of %s", address, c.Issuer)
	}
	signing, key, err := document.key(c.token.keyID)
	if err != nil {
		return err
	}
	if c.token.algorithm != signing.Alg() || signing.Verify(c.token.signed, c.token.signature, key) != nil {
		return refused("its signature is not by the key %s of its issuer", c.token.keyID)
	}
	c.Verified = true
	return nil
}

// didWebURL is where a did:web has its document.
func didWebURL(did string) (string, error) {
	name, ok := strings.CutPrefix(did, "did:web:")
	if !ok {
		return "", errors.Join(ErrUnresolved, errors.New("only did:web is looked up, and it is "+shorten(did)))
	}
	parts := strings.Split(name, ":")
	for i, part := range parts {
		unescaped, err := url.PathUnescape(part)
		if err != nil || unescaped == "" || strings.ContainsAny(unescaped, "/\\?#@ ") || unescaped == "." || unescaped == ".." {
			return "", refused("its issuer %s is no did:web", shorten(did))
		}
		parts[i] = unescaped
	}
	path := "/.well-known/did.json"
	if len(parts) > 1 {
		path = "/" + strings.Join(parts[1:], "/") + "/did.json"
	}
	return (&url.URL{Scheme: "https", Host: parts[0], Path: path}).String(), nil
}

// key is the key with this id, and the algorithm for it.
func (d *didDocument) key(id string) (jwt.SigningMethod, any, error) {
	listed := slices.ContainsFunc(d.AssertionMethod, func(entry any) bool {
		reference, ok := entry.(string)
		return ok && d.absolute(reference) == id
	})
	for i := range d.Methods {
		if !listed || d.absolute(d.Methods[i].ID) != id {
			continue
		}
		return d.Methods[i].key()
	}
	return nil, nil, refused("its issuer's DID document has no key %s for statements", shorten(id))
}

// absolute turns "#key" into "did:…#key".
func (d *didDocument) absolute(id string) string {
	if strings.HasPrefix(id, "did:") {
		return id
	}
	return d.ID + "#" + strings.TrimPrefix(id, "#")
}

func (m *method) key() (jwt.SigningMethod, any, error) {
	x, errX := base64.RawURLEncoding.DecodeString(m.JWK.X)
	y, errY := base64.RawURLEncoding.DecodeString(m.JWK.Y)
	switch m.JWK.Curve {
	case "P-256":
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
		if errX != nil || errY != nil || len(x) != len(y) || err != nil {
			return nil, nil, refused("the key %s of its issuer is no point of the curve", shorten(m.ID))
		}
		return jwt.SigningMethodES256, key, nil
	case "Ed25519":
		if errX != nil || len(x) != ed25519.PublicKeySize {
			return nil, nil, refused("the key %s of its issuer has a wrong length", shorten(m.ID))
		}
		return jwt.SigningMethodEdDSA, ed25519.PublicKey(x), nil
	}
	return nil, nil, errors.Join(ErrUnresolved, errors.New("its key is of the kind "+shorten(m.JWK.Curve)+", which is not checked here"))
}
