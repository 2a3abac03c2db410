// SPDX-License-Identifier: Apache-2.0

package returnpath_test

import (
	"fmt"

	"github.com/caddy-verified-id/caddy-verified-id/internal/returnpath"
)

// Where a visitor goes after presenting a credential.
func Example() {
	for _, raw := range []string{"/payroll?year=2026", "//evil.test", "/%2everified-id/logout"} {
		to, _ := returnpath.Check(raw)
		if returnpath.Own(to, "/.verified-id") {
			to = "/"
		}
		fmt.Println(to)
	}
	// Output:
	// /payroll?year=2026
	// /
	// /
}
