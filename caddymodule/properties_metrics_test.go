// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// labelValues are all that a label of ours may say. A word that is missing here is a new series for every operator, and
// belongs into the documentation as well.
var labelValues = map[string]map[string][]string{
	"caddy_verified_id_starts_total": {"result": {"started", "limited", "full", "store", "busy", "refused", "unreachable", "budget", "outside", "manifest"}},
	"caddy_verified_id_callbacks_total": {"status": {
		"store", "unauthenticated", "malformed", "early", "foreign", "unknown_status", "replay", "late",
		"request_retrieved", "presentation_verified", "presentation_error",
	}},
	"caddy_verified_id_presentations_total": {"outcome": append([]string{"verified", string(holderLimited), string(scannedTwice), string(bindMismatch)}, reasonWords()...)},
	"caddy_verified_id_report_only_total": {"reason": append([]string{
		string(noSession), string(sessionExpired), string(sessionRevoked), string(bindMissing), string(bindMismatch),
	}, reasonWords()...)},
	"caddy_verified_id_kickstarts_total":  {"result": {"sent", "limited", "failed", "outside", "manifest"}},
	"caddy_verified_id_sessions_total":    {},
	"caddy_verified_id_revocations_total": {"kind": {"session", "subject", "issuer", "credential", "all"}},
	"caddy_verified_id_face_checks_today": {},
	"caddy_verified_id_face_check_budget": {},
	"caddy_verified_id_store_up":          {},
}

func reasonWords() []string {
	var words []string
	for _, reason := range verifier.Reasons() {
		words = append(words, string(reason))
	}
	return words
}

// Strangers write what they like into everything that could become a label; each would be a series for ever, and the
// operator's monitoring would go down before the gate does. TM-145.
func TestLabelsAreFromClosedSets(t *testing.T) {
	app, g, s := journeyGate(t, "limits {\n starts_per_client 1000\n starts_per_second 1000\n}", mailGate)
	b := newBrowser(t, g)
	for i := range 20 {
		b.client = fmt.Sprintf("198.51.100.%d", i)
		noise := fmt.Sprintf("noise-%d\n{}\"", i)
		start, _ := b.open(basePath + "/start?v=" + url.QueryEscape(noise))
		token := tokenIn(t, start.Body.String())
		b.post(basePath+"/request", url.Values{"token": {noise}, "credential": {noise}})
		b.post(basePath+"/request", url.Values{"token": {token}, "credential": {noise}})
		b.post(basePath+"/idv", url.Values{"token": {token}, "credential": {"employee"}, "partner": {noise}})
		b.send(fmt.Sprintf("NOISE%d", i), basePath+"/callback", nil, nil)
		b.send("GET", basePath+"/"+url.PathEscape(noise), nil, http.Header{"User-Agent": {noise}})
		callback(t, g, "Bearer "+noise, "{}")

		b.cookies = map[string]string{}
		b.begin("/" + url.PathEscape(noise))
		id, state, key := s.last(t)
		unknown := `{"requestId":"` + id + `","requestStatus":"noise-` + fmt.Sprint(i) + `","state":"` + state + `"}`
		failed := `{"requestId":"` + id + `","requestStatus":"presentation_error","state":"` + state + `","error":{"code":"noise-` + fmt.Sprint(i) + `","message":"x"}}`
		for _, body := range []string{unknown, "{", verified("noise", state), verified(id, state, `"VerifiedEmployee"`, `"Noise`+fmt.Sprint(i)+`"`), failed, verified(id, state)} {
			callback(t, g, key, body)
		}
	}
	registry := app.ctx.GetMetricsRegistry()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen, unknown := 0, 0.0
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "caddy_verified_id_") {
			continue
		}
		seen++
		allowed, known := labelValues[family.GetName()]
		if !known {
			t.Errorf("%s is not listed", family.GetName())
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if !slices.Contains(allowed[label.GetName()], label.GetValue()) {
					t.Errorf("%s{%s=%q} is no listed word", family.GetName(), label.GetName(), label.GetValue())
				}
				if label.GetValue() == "unknown_status" {
					unknown = metric.GetCounter().GetValue()
				}
			}
		}
	}
	if unknown != 20 {
		t.Errorf("%v callbacks of an unknown status were counted, want 20 (TM-064)", unknown)
	}
	if seen < 3 {
		t.Errorf("%d metrics of ours, want the listed %q", seen, slices.Sorted(maps.Keys(labelValues)))
	}
}
