// SPDX-License-Identifier: Apache-2.0

package patience_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"
)

const reliabilityDoc = "../../docs/reliability.md"

// Operators read in the documentation how long we wait, and maintainers here. Both read the same.
func TestDocumentedTimesAreThese(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(reliabilityDoc)
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z][A-Za-z]+)` \\| ([0-9a-z.]+) \\|").FindAllSubmatch(page, -1) {
		documented[string(row[1])] = string(row[2])
	}
	file, err := parser.ParseFile(token.NewFileSet(), "patience.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 {
			return true
		}
		name, want := spec.Names[0].Name, spelled(t, spec.Values[0])
		if got := documented[name]; got != want {
			t.Errorf("%s says %q for %s, want %q", reliabilityDoc, got, name, want)
		}
		delete(documented, name)
		return false
	})
	for name := range documented {
		t.Errorf("%s explains %s, which is no time of ours", reliabilityDoc, name)
	}
}

var units = map[string]time.Duration{"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute}

// spelled is a number, a unit of time, or a number of units, as the documentation spells it.
func spelled(t *testing.T, value ast.Expr) string {
	t.Helper()
	switch value := value.(type) {
	case *ast.BasicLit:
		return value.Value
	case *ast.SelectorExpr:
		return units[value.Sel.Name].String()
	case *ast.BinaryExpr:
		number, err := strconv.Atoi(spelled(t, value.X))
		unit, ok := value.Y.(*ast.SelectorExpr)
		if err != nil || !ok {
			t.Fatalf("not a number of units: %v", err)
		}
		return (time.Duration(number) * units[unit.Sel.Name]).String()
	}
	t.Fatalf("a constant is a %T", value)
	return ""
}
