// SPDX-License-Identifier: Apache-2.0

package returnpath_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// target is one line of testdata/corpus.txt.
type target struct {
	line int
	safe bool
	raw  string
	why  string
}

// corpus returns the lines of testdata/corpus.txt. Each is labelled by hand, not by what Check says.
func corpus(t testing.TB) []target {
	t.Helper()
	file, err := os.ReadFile("testdata/corpus.txt")
	if err != nil {
		t.Fatal(err)
	}
	var targets []target
	for i, line := range strings.Split(strings.TrimSpace(string(file)), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 3 || fields[0] != "safe" && fields[0] != "unsafe" || fields[2] == "" {
			t.Fatalf("line %d: want label, string and why: %q", i+1, line)
		}
		targets = append(targets, target{line: i + 1, safe: fields[0] == "safe", raw: unquote(t, i+1, fields[1]), why: fields[2]})
	}
	return targets
}

// unquote returns the string that text writes: one in Go syntax, perhaps followed by one that is repeated.
func unquote(t testing.TB, line int, text string) string {
	t.Helper()
	text, repeated, repeats := strings.Cut(text, `" "`)
	if !repeats {
		s, err := strconv.Unquote(text)
		if err != nil {
			t.Fatalf("line %d: %q: %v", line, text, err)
		}
		return s
	}
	unit, count, _ := strings.Cut(repeated, `"*`)
	n, err := strconv.Atoi(count)
	if err != nil {
		t.Fatalf("line %d: %q: %v", line, repeated, err)
	}
	return strings.TrimPrefix(text, `"`) + strings.Repeat(unit, n)
}
