// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"net/url"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// testFace is the face that the emulator's own cards give to [TestPerson].
const testFace = 1

// drawPortrait returns the JPEG that stands for a selfie: the emulator's drawn face, which is
// large and plain enough for Face Check. The name decides which, so that two test people can
// be told apart.
func drawPortrait(p Person) ([]byte, error) {
	seed := testFace
	if p.fullName() != TestPerson.fullName() {
		hash := fnv.New32a()
		fmt.Fprint(hash, p.fullName())
		seed = int(hash.Sum32() >> 8)
	}
	picture, err := emulator.DecodePhoto(emulator.Portrait(seed))
	if err != nil {
		return nil, fmt.Errorf("drawing portrait: %w", err)
	}
	return picture, nil
}

// photoClaim writes a picture as a claim: percent-encoded base64, the form Microsoft's Face
// Check page asks for.
func photoClaim(picture []byte) string {
	return url.QueryEscape(base64.StdEncoding.EncodeToString(picture))
}
