// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

func TestPresentationIsVerifiedAndCalledBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.issue(emulator.IssueOptions{Contract: "VerifiedEmployee"})
	offer := w.open(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	outcome := w.share(offer, emulator.ShareOptions{})
	if !outcome.Accepted || outcome.RelyingPartyStatus != 200 {
		t.Fatalf("Share() = %+v, want accepted", outcome)
	}
	if got, want := w.relying.statuses(), "request_retrieved presentation_verified"; got != want {
		t.Fatalf("callbacks = %q, want %q", got, want)
	}
	last := w.relying.last(t)
	t.Logf("%s", last.raw[:200])
}
