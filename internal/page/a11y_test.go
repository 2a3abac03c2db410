// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

// What a screen reader, a keyboard and a translation program need, on every page in every language (WCAG 2.2: 1.1.1, 1.3.1,
// 2.4.2, 2.4.6, 3.1.1, 3.3.2, 4.1.2).
func TestPagesAreAccessible(t *testing.T) {
	t.Parallel()
	for _, language := range page.Languages() {
		r := newRenderer(t, page.Config{
			Brand: "Brand", Language: language, Logo: onePixel, PartnerLogos: map[string]string{"harmless": onePixel},
		})
		for _, p := range everyPage(t, r, "harmless") {
			name := language + ", " + p.name
			root := parse(t, p)
			checkDocument(t, name, root, language)
			checkHeadings(t, name, root)
			checkControls(t, name, root)
			checkIdentifiers(t, name, root)
		}
	}
}

func checkDocument(t *testing.T, name string, root *html.Node, language string) {
	t.Helper()
	if got, _ := attr(named(root, "html")[0], "lang"); got != language {
		t.Errorf("%s: lang = %q, want %q", name, got, language)
	}
	for _, element := range []string{"title", "header", "main", "footer"} {
		if found := named(root, element); len(found) != 1 || element != "main" && textOf(found[0]) == "" {
			t.Errorf("%s has %d %s elements, want one that says something", name, len(found), element)
		}
	}
	if h1 := named(root, "h1"); len(h1) == 1 && !strings.HasPrefix(textOf(named(root, "title")[0]), textOf(h1[0])) {
		t.Errorf("%s: the title does not begin with the heading", name)
	}
	for _, meta := range named(root, "meta") {
		if content, _ := attr(meta, "content"); strings.Contains(content, "user-scalable") || strings.Contains(content, "maximum-scale") {
			t.Errorf("%s forbids zooming", name)
		}
	}
	for _, element := range []string{"img", "svg"} {
		for _, n := range named(root, element) {
			_, alt := attr(n, "alt")
			label, _ := attr(n, "aria-label")
			if !alt && label == "" {
				t.Errorf("%s has a %s without a text alternative", name, element)
			}
		}
	}
}

// checkHeadings wants one h1, first, and no level skipped on the way down.
func checkHeadings(t *testing.T, name string, root *html.Node) {
	t.Helper()
	level := 0
	for _, n := range elements(root) {
		if len(n.Data) != 2 || n.Data[0] != 'h' || n.Data[1] < '1' || n.Data[1] > '6' {
			continue
		}
		next := int(n.Data[1] - '0')
		switch {
		case level == 0 && next != 1, next == 1 && level > 0:
			t.Errorf("%s: %s after h%d", name, n.Data, level)
		case next > level+1:
			t.Errorf("%s: %s after h%d skips a level", name, n.Data, level)
		case textOf(n) == "":
			t.Errorf("%s: %s is empty", name, n.Data)
		}
		level = next
	}
	if level == 0 {
		t.Errorf("%s has no heading", name)
	}
}

// checkControls wants everything that acts to be a form that posts or a link with words, reachable by keyboard in its natural order.
func checkControls(t *testing.T, name string, root *html.Node) {
	t.Helper()
	for _, n := range elements(root) {
		if index, ok := attr(n, "tabindex"); ok && index != "-1" {
			t.Errorf("%s: <%s> has tabindex %s", name, n.Data, index)
		}
		switch n.Data {
		case "a", "button", "summary":
			if textOf(n) == "" {
				t.Errorf("%s has a %s without words", name, n.Data)
			}
		case "form":
			if method, _ := attr(n, "method"); method != "post" {
				t.Errorf("%s has a form with method %q", name, method)
			}
			if len(named(n, "button")) != 1 {
				t.Errorf("%s has a form with %d buttons", name, len(named(n, "button")))
			}
		case "input":
			if kind, _ := attr(n, "type"); kind != "hidden" {
				t.Errorf("%s has an input of type %q, which needs a label", name, kind)
			}
		case "select", "textarea":
			t.Errorf("%s has a %s, which needs a label", name, n.Data)
		}
	}
}

func checkIdentifiers(t *testing.T, name string, root *html.Node) {
	t.Helper()
	seen := make(map[string]bool)
	for _, n := range elements(root) {
		id, ok := attr(n, "id")
		if ok && seen[id] {
			t.Errorf("%s has the id %q twice", name, id)
		}
		seen[id] = true
		if target, ok := attr(n, "href"); ok && strings.HasPrefix(target, "#") && !seen[target[1:]] {
			t.Errorf("%s: <%s> points at %s, which is not there", name, n.Data, target)
		}
	}
}

// The news of the waiting page is told to those who do not see it, and the seconds are not read out one by one.
func TestStatusIsAnnounced(t *testing.T) {
	t.Parallel()
	for _, state := range []string{page.StateCreated, page.StateRetrieved, page.StateVerified} {
		root, w := waitPage(t, page.Config{}, page.Wait{State: state, DeepLink: deepLink})
		var regions []*html.Node
		for _, n := range elements(root) {
			if role, _ := attr(n, "role"); role == "status" {
				regions = append(regions, n)
			}
		}
		if len(regions) != 1 || textOf(regions[0]) == "" {
			t.Errorf("%s has %d live regions, want one with words", w.name, len(regions))
			continue
		}
		if strings.Contains(textOf(regions[0]), ":") {
			t.Errorf("%s: the clock is in the live region: %q", w.name, textOf(regions[0]))
		}
	}
}

// luminance and contrast are those of WCAG 2.2, written down a second time so that one mistake does not hide another.
func luminance(hex string) float64 {
	n, err := strconv.ParseUint(hex[1:], 16, 32)
	if err != nil {
		return math.NaN()
	}
	linear := func(shift uint) float64 {
		v := float64(n>>shift&0xff) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(16) + 0.7152*linear(8) + 0.0722*linear(0)
}

func contrast(a, b string) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

var variable = regexp.MustCompile(`--([a-z-]+): ?(#[0-9a-f]{3,6})\b`)

// palettes reads the light and the dark colours out of a style sheet.
func palettes(css string) (light, dark map[string]string) {
	light, dark = make(map[string]string), make(map[string]string)
	for i, block := range strings.Split(css, ":root") {
		if i == 0 {
			continue
		}
		palette := light
		if before := strings.Split(css, ":root")[i-1]; strings.HasSuffix(strings.TrimRight(before, " \t\n{"), "dark)") {
			palette = dark
		}
		block, _, _ = strings.Cut(block, "}")
		for _, match := range variable.FindAllStringSubmatch(block, -1) {
			value := match[2]
			if len(value) == 4 {
				value = "#" + strings.Repeat(value[1:2], 2) + strings.Repeat(value[2:3], 2) + strings.Repeat(value[3:4], 2)
			}
			palette[match[1]] = value
		}
	}
	for name, value := range light {
		if _, ok := dark[name]; !ok {
			dark[name] = value
		}
	}
	return light, dark
}

// Text has a contrast of 4.5 to its ground, in both schemes and with any accent that an operator may like; edges that say where a
// button is have 3 (WCAG 2.2: 1.4.3, 1.4.11).
func TestContrast(t *testing.T) {
	t.Parallel()
	pairs := []struct {
		front, ground string
		least         float64
	}{
		{"ink", "ground", 7},
		{"ink", "paper", 7},
		{"ink", "sunk", 7},
		{"soft", "ground", 4.5},
		{"soft", "paper", 4.5},
		{"soft", "sunk", 4.5},
		{"link", "paper", 4.5},
		{"link", "sunk", 4.5},
		{"on-accent", "accent", 4.5},
		{"on-accent", "accent-hover", 4.5},
		{"edge", "paper", 3},
		{"edge", "sunk", 3},
		{"strong", "paper", 3},
	}
	for _, colour := range []string{
		"#1d4ed8", "#000000", "#ffffff", "#ffff00", "#00ff00", "#ff0000", "#0000ff", "#777777", "#767676", "#757575", "#0f5132", "#f4f5f7",
		"#0e1115", "#ffc0cb", "#8a2be2", "#FF8800",
	} {
		light, dark := palettes(asset(t, newRenderer(t, page.Config{Colour: colour}), "style.css").Body.String())
		for scheme, palette := range map[string]map[string]string{"light": light, "dark": dark} {
			for _, pair := range pairs {
				front, ground := palette[pair.front], palette[pair.ground]
				if front == "" || ground == "" {
					t.Fatalf("%s, %s: no colour for %s or %s", colour, scheme, pair.front, pair.ground)
				}
				if got := contrast(front, ground); got < pair.least {
					t.Errorf("%s, %s: contrast of %s %s to %s %s = %.2f, want %.1f", colour, scheme, pair.front, front, pair.ground, ground, got, pair.least)
				}
			}
			if on := palette["on-accent"]; on != "#000000" && on != "#ffffff" {
				t.Errorf("%s: text on the accent is %s, want black or white", colour, on)
			}
		}
	}
}

// What the style sheet promises to people who asked their system for it.
func TestStyleRespectsSettings(t *testing.T) {
	t.Parallel()
	css := asset(t, newRenderer(t, page.Config{}), "style.css").Body.String()
	for _, want := range []string{"prefers-color-scheme: dark", "prefers-reduced-motion: reduce", "forced-colors: active", ":focus-visible"} {
		if !strings.Contains(css, want) {
			t.Errorf("style sheet does not know %s", want)
		}
	}
	if strings.Contains(css, "outline: none") || strings.Contains(css, "outline: 0") {
		t.Error("style sheet takes the focus ring away")
	}
}
