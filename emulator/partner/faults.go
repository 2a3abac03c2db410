// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"fmt"
	"net/http"
)

// Fault is something that a partner does wrong on purpose, for trying what becomes of the visitor then.
type Fault string

// Faults of [Organisation]. All but the last refuse every token, however good, as if one check had failed.
const (
	FaultExpired      Fault = "expired"
	FaultReplayed     Fault = "replayed"
	FaultOrganisation Fault = "organisation"
	FaultKey          Fault = "key"
	FaultCallback     Fault = "callback" // answers 500 to the callbacks of the Request Service
)

var faultyChecks = map[Fault]check{
	FaultExpired: checkExpiry, FaultReplayed: checkOnce, FaultOrganisation: checkOrganisation, FaultKey: checkSignature,
}

func (f Fault) validate() error {
	if _, known := faultyChecks[f]; known || f == "" || f == FaultCallback {
		return nil
	}
	return fmt.Errorf("unknown fault %q; there are expired, replayed, organisation, key and callback", f)
}

// failCallback answers the Request Service as a partner in trouble does.
func failCallback(w http.ResponseWriter) {
	http.Error(w, "the emulator was told to fail this callback", http.StatusInternalServerError)
}

// find adds the failed check that the partner was told to find.
func (f Fault) find(r *report) {
	c, told := faultyChecks[f]
	if !told {
		return
	}
	const detail = "Nothing is wrong with it: the emulator was told to refuse every token so."
	for i := range r.findings {
		if r.findings[i].Name == c.name {
			r.findings[i].Passed, r.findings[i].Detail = false, detail
			return
		}
	}
	r.add(c, false, detail)
}
