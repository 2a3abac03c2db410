// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"fmt"
	"image"
	"image/color"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	gozxingqr "github.com/makiuchi-d/gozxing/qrcode"
	"golang.org/x/net/html"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

// hostileLinks are no links for the wallet, whatever they look like.
var hostileLinks = []string{
	"",
	"javascript:alert(1)",
	"javascript:alert(1)//openid-vc://?request_uri=https://x.example",
	"https://evil.example/?openid-vc://?request_uri=x",
	"data:text/html,<script>alert(1)</script>",
	"openid-vc:",
	"openid-vc://",
	"openid-vc://?request_uri=",
	"openid-vc:/?request_uri=",
	"openid-vc:?request_uri=https://x.example",
	"openid-vc://evil.example/?request_uri=https://x.example",
	"openid-vc://?other=1&request_uri=https://x.example",
	"openid-vc:///?request_uri=https://x.example",
	"OPENID-VC://?request_uri=https://x.example",
	" openid-vc://?request_uri=https://x.example",
	"\topenid-vc://?request_uri=https://x.example",
	"openid-vc://?request_uri=https://x.example\n",
	"openid-vc://?request_uri=https://x.example\x00",
	"openid-vc://?request_uri=https://x.example/ x",
	"openid-vc://?request_uri=https://x.example/\"onclick=alert(1)",
	"openid-vc://?request_uri=https://x.example/'onclick=alert(1)",
	"openid-vc://?request_uri=https://x.example/<script>",
	"openid-vc://?request_uri=https://x.example/\x7f",
	"openid-vc://?request_uri=https://x.example/é",
	"openid-vc://?request_uri=https://x.example/\u202e",
	"openid-vc://?request_uri=https://x.example/\\",
	"openid-vc://?request_uri=" + strings.Repeat("a", 1100),
	"openid-vc://?request_uri=https://x.example/%",
	"openid-vc://?request_uri=https://x.example/%2",
	"openid-vc://?request_uri=https://x.example/%0X",
	"openid://vc?request_uri=https://x.example",
	"openid-vci://?request_uri=https://x.example",
}

// TM-051, TM-099. The service, or somebody in its place, answers with a link that is script, or leads somewhere else. It must not
// become a link, and not a code either: the visitor would scan it.
func TestOnlyWalletLinksAreShown(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{})
	for _, link := range hostileLinks {
		w := httptest.NewRecorder()
		r.Wait(w, page.Wait{State: page.StateCreated, DeepLink: link})
		if w.Code != 503 {
			t.Errorf("Wait with the link %q has status %d, want 503", link, w.Code)
		}
		if body := w.Body.String(); strings.Contains(body, "openid-vc") || strings.Contains(body, "<svg") || strings.Contains(body, "evil") {
			t.Errorf("Wait with the link %q shows it", link)
		}
		if code, err := page.QRCode(link); err == nil || code.Path != "" {
			t.Errorf("QRCode(%q) = %v, %v, want an error", link, code, err)
		} else if link != "" && strings.Contains(err.Error(), link) {
			t.Errorf("QRCode(%q) repeats the link in its error", link)
		}
	}
}

// The link must reach the wallet byte by byte: the service does not encode the address in it, and encoding it breaks it (Request
// Service API, "url").
func TestLinkIsNotReencoded(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{})
	for _, link := range []string{
		deepLink,
		strings.Replace(deepLink, "://?", ":/?", 1),
		"openid-vc://?request_uri=https://verifiedid.did.msidentity.com/v1.0/x?a=1&b=%20c%3D;d,e[f]!$*+@~_-.#g",
	} {
		p := rendered{"wait", httptest.NewRecorder()}
		r.Wait(p, page.Wait{State: page.StateCreated, DeepLink: link, Choice: page.Choice{Credential: "employee"}})
		root, found := parse(t, p), 0
		for _, a := range named(root, "a") {
			if href, _ := attr(a, "href"); href == link {
				found++
			}
		}
		// One beside the code, one for those who are on the phone already.
		if found != 2 {
			t.Errorf("%d links lead to %q, want 2", found, link)
		}
		if got := scan(t, root); got != link {
			t.Errorf("scanned %q, want %q", got, link)
		}
	}
}

// scan reads the QR code of a page as a phone would: from its pixels, black on white.
func scan(t *testing.T, root *html.Node) string {
	t.Helper()
	codes := named(root, "svg")
	if len(codes) == 0 {
		t.Fatal("the page has no code")
	}
	picture := draw(t, codes[0])
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		t.Fatalf("making a bitmap: %v", err)
	}
	result, err := gozxingqr.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	if err != nil {
		t.Fatalf("reading the code: %v", err)
	}
	return result.GetText()
}

// draw paints the code's modules, four pixels each. It knows the few commands that our path consists of.
func draw(t *testing.T, svg *html.Node) image.Image {
	t.Helper()
	const scale = 4
	box, _ := attr(svg, "viewbox")
	if box == "" {
		box, _ = attr(svg, "viewBox")
	}
	var size int
	if _, err := fmt.Sscanf(box, "0 0 %d", &size); err != nil || size == 0 {
		t.Fatalf("viewBox = %q", box)
	}
	picture := image.NewGray(image.Rect(0, 0, size*scale, size*scale))
	for i := range picture.Pix {
		picture.Pix[i] = 0xff
	}
	path := named(svg, "path")[1]
	if stroke, _ := attr(path, "stroke"); stroke != "#000" {
		t.Errorf("stroke = %q, want black", stroke)
	}
	commands, _ := attr(path, "d")
	x, y := 0, 0
	for commands != "" {
		end := strings.IndexAny(commands[1:], "Mmh") + 1
		if end == 0 {
			end = len(commands)
		}
		command, arguments := commands[0], strings.Fields(commands[1:end])
		commands = commands[end:]
		number := func(i int) int {
			n, err := strconv.Atoi(strings.TrimSuffix(arguments[i], ".5"))
			if err != nil {
				t.Fatalf("path has %q: %v", arguments, err)
			}
			return n
		}
		switch command {
		case 'M':
			x, y = number(0), number(1)
		case 'm':
			x, y = x+number(0), y+number(1)
		case 'h':
			for range number(0) {
				for dx := range scale {
					for dy := range scale {
						picture.SetGray(x*scale+dx, y*scale+dy, color.Gray{})
					}
				}
				x++
			}
		}
	}
	return picture
}

// The quiet zone is part of the code: scanners need four light modules around it (ISO/IEC 18004, 5.3.8), also on a dark page.
func TestCodeHasQuietZone(t *testing.T) {
	t.Parallel()
	p := rendered{"wait", httptest.NewRecorder()}
	newRenderer(t, page.Config{}).Wait(p, page.Wait{State: page.StateCreated, DeepLink: deepLink, ExpiresIn: time.Minute})
	svg := named(parse(t, p), "svg")[0]
	picture := draw(t, svg)
	size := picture.Bounds().Dx()
	for x := range size {
		for y := range size {
			if min(x, y) >= 16 && max(x, y) < size-16 {
				continue
			}
			if r, _, _, _ := picture.At(x, y).RGBA(); r == 0 {
				t.Fatalf("dark pixel at %d, %d of %d", x, y, size)
			}
		}
	}
	if ground, _ := attr(named(svg, "path")[0], "fill"); ground != "#fff" {
		t.Errorf("ground = %q, want white", ground)
	}
}

// FuzzDeepLink: whatever the service answers, a page with a link has exactly that link, starting like one for the wallet, and
// any other answer has neither link nor code.
func FuzzDeepLink(f *testing.F) {
	f.Add(deepLink)
	for _, link := range hostileLinks {
		f.Add(link)
	}
	for _, text := range xss {
		f.Add(text)
		f.Add(deepLink + text)
	}
	r := newRenderer(f, page.Config{})
	f.Fuzz(func(t *testing.T, link string) {
		p := rendered{"wait", httptest.NewRecorder()}
		r.Wait(p, page.Wait{State: page.StateCreated, DeepLink: link})
		found := 0
		for _, a := range named(parse(t, p), "a") {
			href, _ := attr(a, "href")
			if strings.HasPrefix(href, "/") {
				continue
			}
			found++
			if href != link || !strings.HasPrefix(href, "openid-vc://?request_uri=") && !strings.HasPrefix(href, "openid-vc:/?request_uri=") {
				t.Errorf("link %q becomes %q", link, href)
			}
		}
		if drawn := strings.Contains(p.Body.String(), "<svg"); drawn != (found > 0) || drawn != (p.Code == 200) {
			t.Errorf("link %q: status %d, %d links, code drawn: %v", link, p.Code, found, drawn)
		}
	})
}
