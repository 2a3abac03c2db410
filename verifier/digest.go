// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
)

// digest hashes what decides. Every part has its length before it, so that no two callbacks share a text; claims are sorted,
// so that their order in the body does not matter.
func (c *Callback) digest() [sha256.Size]byte {
	b := appendText(make([]byte, 0, 1024), "callback 1")
	b = appendText(b, c.RequestID)
	b = appendText(b, string(c.Status))
	b = appendText(b, c.State)
	b = appendText(b, c.Subject)
	b = appendCount(b, len(c.Credentials))
	for i := range c.Credentials {
		credential := &c.Credentials[i]
		b = appendText(b, credential.Issuer)
		b = appendTexts(b, credential.Types)
		b = appendCount(b, len(credential.Claims))
		for _, claim := range credential.Claims {
			b = appendText(b, claim.Name)
			b = appendText(b, claim.Value)
		}
		b = appendText(b, credential.RevocationStatus)
		b = appendText(b, credential.DomainURL)
		b = appendText(b, credential.IssuanceDate)
		b = appendText(b, credential.ExpirationDate)
		b = appendBool(b, credential.FaceCheck != nil)
		if credential.FaceCheck != nil {
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(credential.FaceCheck.Score))
		}
	}
	b = appendBool(b, c.Error != nil)
	if c.Error != nil {
		b = appendText(b, c.Error.Code)
	}
	return sha256.Sum256(b)
}
