// SPDX-License-Identifier: Apache-2.0

package claimheader_test

import (
	"fmt"
	"net/http"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
)

// The order in which a request meets the package: hop-by-hop headers, the client's claim headers, then ours.
func Example() {
	strip := claimheader.NewStrip([]string{"X-Verified-Id-"}, []string{"X-Employee-Name"})

	r := &http.Request{Header: http.Header{
		"Connection":         {"keep-alive, X-Employee-Name"},
		"X_employee.name":    {"root"},
		"X-Verified-Id-Role": {"admin"},
	}}
	claimheader.HopByHop(r)
	fmt.Println(strip.From(r.Header), "forged")
	r.Header.Set("X-Employee-Name", claimheader.Encode("Zoë Müller"))
	fmt.Println(r.Header)
	// Output:
	// 2 forged
	// map[Connection:[keep-alive] X-Employee-Name:[Zo%C3%AB M%C3%BCller]]
}

func ExampleCheckName() {
	fmt.Println(claimheader.CheckName("X_Employee"))
	fmt.Println(claimheader.CheckName("X-Employee"))
	// Output:
	// header name "X_Employee": '_' is not allowed, because apps read it as a hyphen or not at all; write "X-Employee"
	// <nil>
}
