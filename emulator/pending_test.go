// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

func TestPending(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	first := w.link(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	w.clock.Advance(time.Minute)
	status, answer := w.create("createIssuanceRequest", w.partnerToken(), w.issuance())
	if status != http.StatusCreated {
		t.Fatalf("answer = %d %v", status, answer)
	}
	pending := w.e.Pending()
	if len(pending) != 2 || pending[0].Kind != emulator.Issuance || pending[0].Link != text(answer, "url") || pending[0].Name != "Fabrikam Identity Check" ||
		pending[1].Kind != emulator.Presentation || pending[1].Link != first || pending[1].Purpose != "Confirm who you are" || pending[1].Opened {
		t.Fatalf("Pending() = %+v, want both, the newest first", pending)
	}
	offer := w.openIn(w.e.Wallet(), first)
	if got := w.e.Pending(); !got[1].Opened {
		t.Errorf("Pending() = %+v, want the first one opened", got)
	}
	w.share(offer, emulator.ShareOptions{})
	if got := w.e.Pending(); len(got) != 1 || got[0].Kind != emulator.Issuance {
		t.Errorf("Pending() = %+v, want the one that nobody answered", got)
	}
	w.clock.Advance(301 * time.Second)
	if got := w.e.Pending(); len(got) != 0 {
		t.Errorf("Pending() = %+v, want none after their time", got)
	}
}
