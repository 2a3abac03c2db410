// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"net/url"
)

// portraitSize, in pixels, is above the 200 by 200 that Face Check asks of a photo.
const portraitSize = 240

// drawPortrait draws the picture that stands for a selfie: a face of a few ellipses, centred,
// eyes open, half the picture. The name decides the colours, so that two test people can be
// told apart.
func drawPortrait(p Person) ([]byte, error) {
	seed := fnv.New32a()
	fmt.Fprint(seed, p.fullName())
	s := seed.Sum32()

	pick := func(shift uint, palette []color.RGBA) color.RGBA {
		return palette[int(s>>shift)%len(palette)]
	}
	back := pick(0, []color.RGBA{{0xcf, 0xe3, 0xee, 255}, {0xe9, 0xdf, 0xc8, 255}, {0xd8, 0xe8, 0xd2, 255}, {0xe6, 0xd5, 0xe3, 255}})
	skin := pick(5, []color.RGBA{{0xf2, 0xcf, 0xb0, 255}, {0xd9, 0xa5, 0x79, 255}, {0xa8, 0x72, 0x4c, 255}, {0x7a, 0x4e, 0x33, 255}})
	hair := pick(10, []color.RGBA{{0x2b, 0x22, 0x1c, 255}, {0x6d, 0x45, 0x25, 255}, {0xb5, 0x86, 0x3c, 255}, {0x8c, 0x8c, 0x8c, 255}})
	coat := pick(15, []color.RGBA{{0x33, 0x4e, 0x68, 255}, {0x6b, 0x2f, 0x3c, 255}, {0x3c, 0x5a, 0x3a, 255}, {0x55, 0x49, 0x6b, 255}})
	dark := color.RGBA{0x24, 0x21, 0x1a, 255}
	white := color.RGBA{0xff, 0xff, 0xff, 255}
	lips := color.RGBA{0xb0, 0x55, 0x4f, 255}

	shapes := []struct {
		x, y, rx, ry float64
		c            color.RGBA
	}{
		{120, 268, 92, 82, coat},
		{120, 190, 26, 34, skin},
		{120, 98, 68, 74, hair},
		{120, 116, 54, 66, skin},
		{120, 62, 58, 30, hair},
		{98, 112, 10, 7, white},
		{142, 112, 10, 7, white},
		{98, 112, 5, 5, dark},
		{142, 112, 5, 5, dark},
		{120, 132, 5, 9, lips},
		{120, 154, 20, 6, lips},
	}
	img := image.NewRGBA(image.Rect(0, 0, portraitSize, portraitSize))
	for y := range portraitSize {
		for x := range portraitSize {
			c := back
			for _, e := range shapes {
				if math.Pow((float64(x)-e.x)/e.rx, 2)+math.Pow((float64(y)-e.y)/e.ry, 2) <= 1 {
					c = e.c
				}
			}
			img.SetRGBA(x, y, c)
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, &jpeg.Options{Quality: 85}); err != nil {
		return nil, fmt.Errorf("drawing portrait: %w", err)
	}
	return out.Bytes(), nil
}

// photoClaim writes a picture as a claim: percent-encoded base64, the form Microsoft's Face
// Check page asks for.
func photoClaim(picture []byte) string {
	return url.QueryEscape(base64.StdEncoding.EncodeToString(picture))
}
