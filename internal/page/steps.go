// SPDX-License-Identifier: Apache-2.0

package page

import "fmt"

// How many steps a visit has: choose, scan, confirm; and on the way over a partner two more in between, get the card and come
// back with it.
const (
	directSteps = 3
	detourSteps = 5
)

// steps is where a visitor stands, in words and as a row of bars. One behind the last step is the end.
type steps struct {
	Step int
	Bars []struct{}
	Text string
}

// stepsOf counts the visit's steps: with the name of a partner, those of the detour.
func stepsOf(partner string) int {
	if partner == "" {
		return directSteps
	}
	return detourSteps
}

// at is the step of so many; text is the key of what is done in it.
func (r *Renderer) at(step, of int, text string) steps {
	return steps{step, make([]struct{}, of), fmt.Sprintf(r.texts["step"], step, of) + " · " + r.texts[text]}
}
