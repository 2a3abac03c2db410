// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"strings"

	"github.com/chromedp/chromedp"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// What a visitor looks for on the gate's pages.
const (
	haveCard     = `form[action$="/request"] button`
	needCard     = `form[action$="/idv"] button`
	code         = `svg.code`
	openWallet   = `.near a.button[href^="openid-vc:"]`
	phoneHasIt   = `section.retrieved:not([hidden])`
	continueForm = `section.verified:not([hidden]) button`
	refusedSign  = `.sign.stop`
	expiredSign  = `.sign.timer`
	logoutButton = `form[action$="/logout"] button`
	signInAgain  = `a.button.quiet`
	inTheApp     = `#app`
)

// scan photographs the code on the visitor's screen and opens what it says with the person's wallet.
func (w *world) scan(v *visitor) *emulator.Offer {
	w.t.Helper()
	v.see(code)
	picture := step(v, "photographing the code", chromedp.ScreenshotScale(chromedp.CSS(code), 2, chromedp.NodeVisible))
	text, err := readCode(picture)
	if err != nil {
		w.t.Fatalf("reading the code: %v", err)
	}
	return w.openLink(text)
}

// readCode returns the text of a QR code in a PNG picture. The reader finds no way through one straight picture in fifty;
// as people do with a phone, it is turned until it does.
func readCode(file []byte) (text string, err error) {
	picture, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		return "", err
	}
	for range 4 {
		bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
		if err != nil {
			return "", err
		}
		result, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
		if err == nil {
			return result.GetText(), nil
		}
		picture = quarterTurn(picture)
	}
	return "", errors.New("no code found, whichever way the picture is held")
}

// quarterTurn turns a picture clockwise.
func quarterTurn(picture image.Image) image.Image {
	bounds := picture.Bounds()
	turned := image.NewGray(image.Rect(0, 0, bounds.Dy(), bounds.Dx()))
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			turned.Set(bounds.Dy()-1-y, x, picture.At(bounds.Min.X+x, bounds.Min.Y+y))
		}
	}
	return turned
}

// tap follows the link to the wallet on the visitor's own phone.
func (w *world) tap(v *visitor) *emulator.Offer {
	w.t.Helper()
	v.see(openWallet)
	return w.openLink(v.attribute(openWallet, "href"))
}

func (w *world) openLink(link string) *emulator.Offer {
	w.t.Helper()
	if !strings.HasPrefix(link, "openid-vc://") {
		w.t.Fatalf("the link %q is for no wallet", link)
	}
	offer, err := w.wallet.Open(w.t.Context(), link)
	if err != nil {
		w.t.Fatalf("opening the link: %v", err)
	}
	return offer
}

// honest is what a person with the right card and the right face does.
var honest emulator.ShareOptions

// share consents and shows the face. It returns what the wallet says.
func (w *world) share(offer *emulator.Offer, options emulator.ShareOptions) emulator.Outcome {
	w.t.Helper()
	outcome, err := offer.Share(w.t.Context(), options)
	if err != nil {
		w.t.Fatalf("sharing: %v", err)
	}
	return outcome
}

// accept shares as an honest person with the right card does, and expects the wallet to be happy.
func (w *world) accept(offer *emulator.Offer) {
	w.t.Helper()
	if outcome := w.share(offer, honest); !outcome.Accepted {
		w.t.Fatalf("the wallet says %+v", outcome)
	}
}
