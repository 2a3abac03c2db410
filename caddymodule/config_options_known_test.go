// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// optionName is an option of a block of the Caddyfile: app, gate, or the name of a block inside the app.
type optionName struct{ block, option string }

func (o optionName) String() string { return o.block + " " + o.option }

// knownOptions reads the option tables out of the source, so that no list beside them can rot: every map[string]option in
// a file of the package, or of a store beside it, named after what readBlock or block call it.
func knownOptions(t *testing.T) []optionName {
	t.Helper()
	var sources []string
	for _, pattern := range []string{"*.go", "../redisstore/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		sources = append(sources, found...)
	}
	var out []optionName
	tables := map[string][]string{} // by the name of the function that returns one
	named := map[string]string{}    // block by function
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || function.Body == nil {
				continue
			}
			ast.Inspect(function.Body, func(node ast.Node) bool {
				switch n := node.(type) {
				case *ast.CallExpr:
					name := callName(n)
					if strings.EqualFold(name, "readBlock") && len(n.Args) == 3 {
						for _, option := range tableKeys(n.Args[2]) {
							out = append(out, optionName{blockName(n.Args[1], function), option})
						}
					}
					if name == "block" && len(n.Args) == 3 {
						if method, ok := n.Args[1].(*ast.SelectorExpr); ok {
							named[method.Sel.Name] = blockName(n.Args[0], function)
						}
					}
				case *ast.ReturnStmt:
					for _, result := range n.Results {
						tables[function.Name.Name] = append(tables[function.Name.Name], tableKeys(result)...)
					}
				}
				return true
			})
		}
	}
	for function, options := range tables {
		if len(options) > 0 && named[function] == "" {
			t.Errorf("%s returns options of a block that nothing names", function)
		}
		for _, option := range options {
			out = append(out, optionName{named[function], option})
		}
	}
	slices.SortFunc(out, func(a, b optionName) int { return strings.Compare(a.String(), b.String()) })
	return out
}

func callName(call *ast.CallExpr) string { return lastName(call.Fun) }

// lastName is the name that an expression ends with: that of a function or type, with or without its package.
func lastName(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	default:
		return ""
	}
}

// blockName is the literal at the beginning of what readBlock is told: "credential "+name is credential. The app and the gate
// are both called verified_id.
func blockName(what ast.Expr, function *ast.FuncDecl) string {
	if sum, ok := what.(*ast.BinaryExpr); ok {
		what = sum.X
	}
	literal, ok := what.(*ast.BasicLit)
	if !ok {
		return ""
	}
	name, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	name = strings.TrimSpace(name)
	if name == "verified_id" && function.Recv != nil {
		if pointer, ok := function.Recv.List[0].Type.(*ast.StarExpr); ok {
			return strings.ToLower(fmt.Sprint(pointer.X))
		}
	}
	return name
}

// tableKeys are the keys of a map[string]option literal.
func tableKeys(expression ast.Expr) []string {
	literal, ok := expression.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	kind, ok := literal.Type.(*ast.MapType)
	if !ok || !strings.EqualFold(lastName(kind.Value), "option") {
		return nil
	}
	var out []string
	for _, element := range literal.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			if key, ok := pair.Key.(*ast.BasicLit); ok {
				if name, err := strconv.Unquote(key.Value); err == nil {
					out = append(out, name)
				}
			}
		}
	}
	return out
}
