// SPDX-License-Identifier: Apache-2.0

package page

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// minContrast is what WCAG 2.2 asks of text (success criterion 1.4.3, level AA).
const minContrast = 4.5

// The least contrasting grounds that accented text stands on in style.css, light and dark.
var (
	paperLight = rgb{0xf4, 0xf5, 0xf7}
	paperDark  = rgb{0x1d, 0x21, 0x28}
)

var (
	black = rgb{0, 0, 0}
	white = rgb{255, 255, 255}
)

var errColour = errors.New("want six hexadecimal digits after a #, for example #1d4ed8")

type rgb [3]uint8

// parseColour reads #rrggbb and nothing else: the value ends up in a style sheet.
func parseColour(s string) (rgb, error) {
	if len(s) != 7 || s[0] != '#' {
		return rgb{}, errColour
	}
	n, err := strconv.ParseUint(s[1:], 16, 24)
	if err != nil {
		return rgb{}, errColour
	}
	return rgb{uint8(n >> 16), uint8(n >> 8), uint8(n)}, nil
}

func (c rgb) String() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }

// luminance is the relative luminance of WCAG 2.2.
func (c rgb) luminance() float64 {
	weights := [3]float64{0.2126, 0.7152, 0.0722}
	sum := 0.0
	for i, part := range c {
		v := float64(part) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weights[i] * v
	}
	return sum
}

// contrast is the contrast ratio of WCAG 2.2, from 1 to 21.
func contrast(a, b rgb) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// mix goes from c towards other by share, 0 to 1.
func (c rgb) mix(other rgb, share float64) rgb {
	for i := range c {
		c[i] = uint8(math.Round(float64(c[i])*(1-share) + float64(other[i])*share))
	}
	return c
}

// foreground is black or white, whichever reads better on c. The better of the two is never below 4.58.
func (c rgb) foreground() rgb {
	if contrast(c, white) >= contrast(c, black) {
		return white
	}
	return black
}

// readableOn moves c towards black or white until it has at least the contrast want on ground.
func (c rgb) readableOn(ground rgb, want float64) rgb {
	end := ground.foreground()
	for step := range 51 {
		if mixed := c.mix(end, float64(step)/50); contrast(mixed, ground) >= want {
			return mixed
		}
	}
	return end
}

// theme is the part of the style sheet that depends on the configuration. It is the last part of style.css rather than a
// style attribute, because the pages forbid inline style.
func theme(accent rgb) string {
	on := accent.foreground()
	// Away from the text on it, so that hovering never costs contrast.
	away := black
	if on == black {
		away = white
	}
	const format = ":root{--accent:%s;--accent-hover:%s;--on-accent:%s;--link:%s;--edge:%s}\n" +
		"@media (prefers-color-scheme:dark){:root{--link:%s;--edge:%s}}\n"
	return fmt.Sprintf(format, accent, accent.mix(away, 0.15), on,
		accent.readableOn(paperLight, minContrast), accent.readableOn(paperLight, 3),
		accent.readableOn(paperDark, minContrast), accent.readableOn(paperDark, 3))
}
