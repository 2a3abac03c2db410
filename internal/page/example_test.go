// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

func ExampleRenderer_Problem() {
	pages, err := page.New(page.Config{Brand: "Contoso Payroll", Colour: "#0f5132"})
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	pages.Problem(w, page.Problem{
		Meta: page.Meta{SupportCode: "7QnYv0lzA0uT5f5k.1", RetryAfter: 170},
		Kind: page.ProblemBusy,
	})
	fmt.Println(w.Code, w.Header().Get("Retry-After"))
	fmt.Println(strings.Contains(w.Body.String(), "Please try again in about 3 minutes."))
	// Output:
	// 503 170
	// true
}
