// SPDX-License-Identifier: Apache-2.0

package caddyemulator_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestPersonaOfThePartner loads one persona after the other, and what names none.
func TestPersonaOfThePartner(t *testing.T) {
	w := newWorld(t)
	for _, persona := range []string{"persona au10tix", "persona au10tix customer", "persona entrust own", "persona vu"} {
		w.persona = persona
		w.mustLoad(t, "", persona)
		if status, _, body := w.do(t, http.MethodGet, "http://localhost:"+w.partner+"/", nil); status != http.StatusOK || !strings.Contains(body, ", played by the emulator") {
			t.Errorf("%s: the partner's page answers %d and does not say who is played", persona, status)
		}
	}
	for options, says := range map[string]string{
		"persona au10tics":       `persona "au10tics" is unknown`,
		"persona au10tix theirs": `issuing "theirs" must be own or customer`,
	} {
		w.persona = options
		err := w.load(t, "", options)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", options, err, says)
		}
	}
}
