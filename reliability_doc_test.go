// SPDX-License-Identifier: Apache-2.0

package verifiedid_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var namedTest = regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z0-9]+)`")

// An operator reads in docs/reliability.md that a fault is tested, and by which test: each is there, and each line names one.
func TestReliabilityNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	known := map[string]map[string][]int{}
	var faults []string
	for line := range strings.Lines(string(readRepositoryFile(t, "docs/reliability.md"))) {
		named := namedTest.FindAllStringSubmatch(line, -1)
		if strings.HasPrefix(line, "| X") {
			fault, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " ")
			if len(named) == 0 || slices.Contains(faults, fault) {
				t.Errorf("%s names no test, or stands there twice", fault)
			}
			faults = append(faults, fault)
		}
		for _, test := range named {
			if known[test[1]] == nil {
				known[test[1]] = testsIn(t, test[1])
			}
			if _, there := known[test[1]][test[2]]; !there {
				t.Errorf("docs/reliability.md: package %s has no %s", test[1], test[2])
			}
		}
	}
	if len(faults) < 12 {
		t.Errorf("found only the faults %v", faults)
	}
}
