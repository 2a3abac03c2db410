// SPDX-License-Identifier: Apache-2.0

package serviceurl_test

import (
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/serviceurl"
)

// Whoever configures a service without TLS gives tokens away; only the emulator on this machine may do without. TM-125.
func TestTokensGoByTLSOnly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		url      string
		insecure bool
		ok       bool
	}{
		{"https://service.example", false, true},
		{"https://service.example/base/", false, true},
		{"http://localhost:8090", true, true},
		{"http://LOCALHOST:8090", true, true},
		{"http://127.0.0.1:8090", true, true},
		{"http://127.9.9.9", true, true},
		{"http://[::1]:8090", true, true},
		{"http://[::ffff:127.0.0.1]", true, true},
		{"http://localhost:8090", false, false},
		{"http://service.example", true, false},
		{"http://localhost.evil.example", true, false},
		{"http://emulator.localhost", true, false},
		{"http://localhost.", true, false},
		{"http://127.1", true, false},
		{"http://2130706433", true, false},
		{"http://0.0.0.0", true, false},
		{"http://[::ffff:10.0.0.1]", true, false},
		{"http://10.0.0.1", true, false},
		{"ftp://localhost", true, false},
		{"", true, false},
		{"localhost:8090", true, false},
		{"//service.example", false, false},
		{"https://", false, false},
		{"https:service.example", false, false},
		{"https://u:CANARY@service.example", false, false},
		{"https://service.example?CANARY", false, false},
		{"https://service.example#CANARY", false, false},
		{"https://CANARY[", false, false},
	} {
		service, err := serviceurl.Parse(test.url, test.insecure)
		if (err == nil) != test.ok || (service == nil) == test.ok {
			t.Errorf("Parse(%q, %v) = %v, %v", test.url, test.insecure, service, err)
		}
		if err != nil && strings.Contains(err.Error(), "CANARY") {
			t.Errorf("the error quotes the address: %v", err)
		}
	}
}
