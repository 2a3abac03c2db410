// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// faceCheck asks for a Face Check on the first card of a request.
func faceCheck(body map[string]any, claim string, threshold any) map[string]any {
	check := map[string]any{"sourcePhotoClaimName": claim}
	if threshold != nil {
		check["matchConfidenceThreshold"] = threshold
	}
	put(body, check, "requestedCredentials", 0, "configuration", "validation", "faceCheck")
	return body
}

func TestFaceCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		threshold any
		score     float64
		pass      bool
	}{
		{"above", 80, 86.314159, true},
		{"at the threshold", 80, 80, true},
		{"below", 80, 79.999, false},
		{"default threshold is 70, passes", nil, 70, true},
		{"default threshold is 70, fails", nil, 69.9, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.issue(emulator.IssueOptions{Contract: "VerifiedIdentity"})
			offer := w.open(faceCheck(w.presentation("VerifiedIdentity", emulator.PartnerAuthority), "portrait", c.threshold))
			if check := offer.Wanted[0].FaceCheck; check == nil || check.PhotoClaim != "portrait" {
				t.Fatalf("offer wants %+v, want a Face Check on portrait", check)
			}
			outcome := w.share(offer, emulator.ShareOptions{FaceScore: c.score, PhotoQuality: "MEDIUM"})
			last := w.relying.last(t)
			if outcome.Accepted != c.pass {
				t.Fatalf("Share() = %+v, want accepted %v", outcome, c.pass)
			}
			if !c.pass {
				if text(last.body, "requestStatus") != "presentation_error" || text(last.body, "error", "code") != "claimValidationError" ||
					text(last.body, "error", "message") != "Match confidence score failing to meet the threshold." ||
					bytes.Contains(last.raw, []byte("matchConfidenceScore")) || at(last.body, "verifiedCredentialsData") != nil {
					t.Errorf("callback = %s, want claimValidationError and no score", last.raw)
				}
				return
			}
			check := at(last.body, "verifiedCredentialsData", 0, "faceCheck")
			if at(check, "matchConfidenceScore") != c.score || text(check, "sourcePhotoQuality") != "MEDIUM" {
				t.Errorf("faceCheck = %v, want the score %v and MEDIUM", check, c.score)
			}
		})
	}
}

func TestFaceCheckNeedsPhotoOnCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	card := w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee", Claims: map[string]string{"displayName": "No Photo"}})
	offer := w.open(faceCheck(w.presentation("VerifiedEmployee", emulator.DemoAuthority), "photo", 70))
	if len(offer.Wanted[0].Matching) != 0 {
		t.Error("the wallet offers a card without a photo for a Face Check")
	}
	outcome := w.share(offer, emulator.ShareOptions{CardIDs: []string{card.ID}, Force: true})
	if outcome.Accepted || outcome.Code != "claimValidationError" {
		t.Errorf("Share() = %+v, want claimValidationError", outcome)
	}
}

func TestWalletKinds(t *testing.T) {
	t.Parallel()
	for _, cfg := range []emulator.WalletConfig{
		{DIDMethod: emulator.ION, Platform: emulator.Android},
		{DIDMethod: emulator.ION, Platform: emulator.IOS},
		{DIDMethod: emulator.JWK, Platform: emulator.Android},
		{DIDMethod: emulator.JWK, Platform: emulator.IOS},
	} {
		t.Run(fmt.Sprintf("%s on %s", cfg.DIDMethod, cfg.Platform), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			wallet, err := w.e.NewWallet(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.e.IssueDemoCards(wallet); err != nil {
				t.Fatal(err)
			}
			body := faceCheck(w.presentation("VerifiedIdentity", emulator.PartnerAuthority), "portrait", 70)
			if outcome := w.share(w.openIn(wallet, w.link(body)), emulator.ShareOptions{}); !outcome.Accepted {
				t.Fatalf("Share() = %+v, want accepted", outcome)
			}
			if got, want := text(w.relying.last(t).body, "subject"), "did:"+string(cfg.DIDMethod)+":"; !strings.HasPrefix(got, want) {
				t.Errorf("subject begins with %.12q, want %q", got, want)
			}
		})
	}
	w := newWorld(t, nil)
	for _, cfg := range []emulator.WalletConfig{{DIDMethod: "key"}, {Platform: "symbian"}} {
		if _, err := w.e.NewWallet(cfg); err == nil {
			t.Errorf("NewWallet(%+v) succeeds", cfg)
		}
	}
}

func TestOldAuthorityAndRotatedKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *emulator.Config) {
		c.Authorities = []emulator.Authority{{DID: emulator.DemoAuthority, DomainVerified: true, KeyAlg: emulator.P256K}}
	})
	w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	body := w.presentation("VerifiedEmployee", emulator.DemoAuthority)
	link := w.link(body)
	if err := w.e.RotateKey(emulator.DemoAuthority); err != nil {
		t.Fatal(err)
	}
	// The card was signed before the change, the request after it.
	if outcome := w.share(w.openIn(w.e.Wallet(), link), emulator.ShareOptions{}); !outcome.Accepted {
		t.Errorf("Share() = %+v, want accepted", outcome)
	}
	if err := w.e.RotateKey("did:web:unknown.example"); err == nil {
		t.Error("RotateKey() of an unknown authority succeeds")
	}
}
