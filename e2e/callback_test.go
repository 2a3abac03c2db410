// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// The callback is open to the whole internet. Somebody who has seen a state in a log posts a result of their own making,
// without the key that only the Request Service was told.
func TestForgedCallbackOpensNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t)
	w.emulator.Faults().InjectCallback(emulator.CallbackFault{WrongKey: true})

	v.open(w.origin + "/payroll")
	v.click(haveCard)
	if outcome := w.share(w.scan(v), honest); outcome.RelyingPartyStatus < 400 {
		t.Errorf("the gate answered a callback with the wrong key with %d", outcome.RelyingPartyStatus)
	}
	v.open(w.origin + "/payroll")
	v.see(haveCard)
	w.expectNobodyIn()
}

// "Verified" alone is not believed: the service leaves out the Face Check that was asked for.
func TestVerifiedWithoutFaceCheckIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t)
	w.emulator.Faults().InjectCallback(emulator.CallbackFault{OmitFaceCheck: true})

	v.open(w.origin + "/payroll")
	v.click(haveCard)
	w.share(w.scan(v), honest)
	v.see(refusedSign)
	w.expectNobodyIn()
}

// Networks repeat and reorder. The result comes three times, and the news that the code was scanned after it: the visitor
// is let in once, and notices nothing.
func TestRepeatedAndLateCallbacksChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t)
	w.emulator.Faults().InjectCallback(emulator.CallbackFault{Status: "request_retrieved", Reorder: true})
	w.emulator.Faults().InjectCallback(emulator.CallbackFault{Duplicate: 2})

	v.open(w.origin + "/payroll?year=2026")
	v.click(haveCard)
	w.accept(w.scan(v))
	w.expectIn(v, "/payroll?year=2026")
}
