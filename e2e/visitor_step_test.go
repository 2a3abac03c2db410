// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// A page that is replaced while a step looks at it, as happens at each stage of the way in, fails no test.
func TestStepsOutliveThePageTheyBeganOn(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!doctype html><title>Restless</title><p>here</p><a href="#next">on</a>
			<script>setTimeout(() => location.reload(), %d)</script>`, 20+served.Add(1)%60)
	}))
	t.Cleanup(page.Close)
	v := newVisitor(t)

	v.open(page.URL)
	for range 30 {
		v.see("p")
		if got := v.read("p"); got != "here" {
			t.Fatalf("read %q, want %q", got, "here")
		}
		if got := v.attribute("a", "href"); got != "#next" {
			t.Fatalf("the link leads to %q, want %q", got, "#next")
		}
		v.click("a")
	}
}
