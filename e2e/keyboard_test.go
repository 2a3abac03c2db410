// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"

	"github.com/chromedp/chromedp/kb"
)

const enterKey = kb.Enter

// tabTo presses Tab until the element has the focus, and expects every stop on the way to be marked visibly.
func (v *visitor) tabTo(selector string) {
	v.t.Helper()
	const stops = 40
	for range stops {
		v.press(kb.Tab)
		if evaluate[string](v, `getComputedStyle(document.activeElement).outlineStyle`) == "none" {
			v.t.Errorf("the focus on %s cannot be seen", evaluate[string](v, `document.activeElement.outerHTML`))
		}
		if evaluate[bool](v, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
			return
		}
	}
	v.t.Fatalf("%d times Tab do not lead to %s", stops, selector)
}
