// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"net/url"
)

// portraitSize is the edge of a portrait in pixels; photos for Face Check need at least 200.
const portraitSize = 240

var (
	skins  = []color.RGBA{{0xf2, 0xd3, 0xb8, 0xff}, {0xc6, 0x86, 0x5c, 0xff}, {0x8d, 0x55, 0x3a, 0xff}, {0xe5, 0xb8, 0x94, 0xff}}
	hairs  = []color.RGBA{{0x3b, 0x2a, 0x20, 0xff}, {0x14, 0x12, 0x12, 0xff}, {0x8a, 0x5a, 0x2b, 0xff}, {0x9a, 0x9a, 0x9a, 0xff}}
	shirts = []color.RGBA{{0x2d, 0x6c, 0xa2, 0xff}, {0x7a, 0x3e, 0x6b, 0xff}, {0x2f, 0x7d, 0x5b, 0xff}, {0xa3, 0x51, 0x3a, 0xff}}
)

// Portrait draws the face of a person who does not exist and returns it as a photo claim holds it: the URL-encoded
// base64 of a JPEG of 240 × 240 pixels, so that it begins with %2F9j%2F. The same seed gives the same face.
func Portrait(seed int) string {
	return EncodePhoto(drawPortrait(seed))
}

// EncodePhoto makes a photo claim of a JPEG file.
func EncodePhoto(jpegFile []byte) string {
	return url.QueryEscape(base64.StdEncoding.EncodeToString(jpegFile))
}

// DecodePhoto reads a photo claim back into a JPEG file. It takes the spellings that issuers use: URL-encoded
// base64, base64 and base64url, with or without padding. The error says nothing of the content.
func DecodePhoto(claim string) ([]byte, error) {
	if plain, err := url.PathUnescape(claim); err == nil {
		claim = plain
	}
	for _, encoding := range []*base64.Encoding{
		base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding,
	} {
		if b, err := encoding.DecodeString(claim); err == nil {
			return b, nil
		}
	}
	return nil, fmt.Errorf("decoding photo claim: not base64 in any known form")
}

func drawPortrait(seed int) []byte {
	pick := func(from []color.RGBA, shift int) color.RGBA { return from[uint(seed>>shift)%uint(len(from))] }
	skin, hair, shirt := pick(skins, 0), pick(hairs, 1), pick(shirts, 2)
	picture := image.NewRGBA(image.Rect(0, 0, portraitSize, portraitSize))
	ellipse := func(cx, cy, rx, ry int, c color.RGBA) {
		for y := cy - ry; y <= cy+ry; y++ {
			for x := cx - rx; x <= cx+rx; x++ {
				dx, dy := float64(x-cx)/float64(rx), float64(y-cy)/float64(ry)
				if dx*dx+dy*dy <= 1 {
					picture.SetRGBA(x, y, c) // ignores points outside the picture
				}
			}
		}
	}
	for y := range portraitSize {
		for x := range portraitSize {
			picture.SetRGBA(x, y, color.RGBA{0xdd, 0xe6, 0xec, 0xff})
		}
	}
	white, dark, lip := color.RGBA{0xff, 0xff, 0xff, 0xff}, color.RGBA{0x22, 0x22, 0x22, 0xff}, color.RGBA{0xa0, 0x4a, 0x48, 0xff}
	ellipse(120, 258, 92, 66, shirt)
	ellipse(120, 200, 24, 34, skin)
	ellipse(120, 104, 74, 82, hair)
	ellipse(120, 122, 58, 72, skin)
	ellipse(120, 58, 56, 22, hair)
	for _, x := range []int{97, 143} {
		ellipse(x, 112, 11, 7, white)
		ellipse(x, 112, 5, 5, dark)
		ellipse(x, 96, 13, 3, hair)
	}
	ellipse(120, 132, 5, 9, color.RGBA{skin.R - 20, skin.G - 20, skin.B - 20, 0xff})
	ellipse(120, 160, 19, 6, lip)
	var file bytes.Buffer
	if err := jpeg.Encode(&file, picture, &jpeg.Options{Quality: 80}); err != nil {
		panic("emulator: " + err.Error()) // the picture's size and the writer cannot fail
	}
	return file.Bytes()
}
