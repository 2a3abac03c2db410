// SPDX-License-Identifier: Apache-2.0

package canary_test

import (
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/canary"
)

// A scan that finds nothing in anything would pass every run. TM-141, TM-142.
func TestPlantedCanaryIsFound(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Ab_9-", 20)
	for what, texts := range map[string][]string{
		"a signed token":   {"token=eyJhbGciOiJS.eyJPcmdJZCI6.c2lnbmF0dXJl", `{"id_token":"eyJ` + long + ".eyJ" + long + "." + long + `"}`},
		"a private key":    {"-----BEGIN PRIVATE" + " KEY-----", "-----BEGIN RSA PRIVATE" + " KEY-----\nMII"},
		"a cookie of ours": {"Cookie: a=b; __Host-verified-id=" + long, `"Set-Cookie":["insecure-verified-id-8080=` + long},
		"a callback key":   {"Authorization: Bearer " + long + "." + long, `"Api-Key":["` + long + "." + long + `"]`},
		"a mail address":   {`{"mail":"ana@contoso.example"}`},
		"a photo":          {"photo CANARY-" + "PHOTO"},
		"a client secret":  {"client_secret=a secret for " + "tests only"},
	} {
		for _, text := range texts {
			if got, at := canary.Find("a line before\n" + text); got != what || at < 14 {
				t.Errorf("Find(%.60q) = %q at %d, want %q", text, got, at, what)
			}
		}
	}
	for _, text := range []string{
		"", "eyJ", "Cookie: a=b", `"Authorization":["REDACTED"]`, "verified-id=REDACTED", "/.verified-id/start?v=REDACTED", "BEGIN PUBLIC KEY",
	} {
		if what, at := canary.Find(text); what != "" || at != -1 {
			t.Errorf("Find(%q) = %q at %d, want nothing", text, what, at)
		}
	}
}
