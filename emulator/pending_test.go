// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

func TestPendingRequestsAreThoseAWalletCanStillOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	if got := w.e.Pending(); len(got) != 0 {
		t.Fatalf("Pending() before any request = %v, want none", got)
	}
	first := w.link(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	second := w.link(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	got := w.e.Pending()
	if len(got) != 2 || got[0].Link != second || got[1].Link != first {
		t.Fatalf("Pending() = %+v, want both links, newest first", got)
	}
	if got[0].Kind != emulator.Presentation || got[0].Name != "Contoso Payroll" || got[0].Purpose != "Confirm who you are" || got[0].Opened {
		t.Errorf("Pending()[0] = %+v, which is not what was asked", got[0])
	}

	offer := w.openIn(w.e.Wallet(), second)
	if got := w.e.Pending(); len(got) != 2 || !got[0].Opened {
		t.Errorf("Pending() after opening = %+v, want it still there, opened", got)
	}
	w.share(offer, emulator.ShareOptions{})
	if got := w.e.Pending(); len(got) != 1 || got[0].Link != first {
		t.Errorf("Pending() after sharing = %+v, want the other one only", got)
	}
	w.clock.Advance(5*time.Minute + time.Second)
	if got := w.e.Pending(); len(got) != 0 {
		t.Errorf("Pending() after the expiry = %+v, want none", got)
	}
}
