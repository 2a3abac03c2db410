// SPDX-License-Identifier: Apache-2.0

package verifiedid_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/caddy-verified-id/caddy-verified-id"

// mayImport says which packages of this module a package may import outside its tests; "x/..." stands for x and all
// below it. A folder missing here is a failure: a new package gets its line when it is made, so that the drawing and
// the code cannot drift apart.
var mayImport = map[string][]string{
	"":            {"caddymodule"},
	"caddymodule": {"idvredirect", "internal/...", "verifier"},

	"verifier":             {"internal/patience", "internal/serviceurl"},
	"idvredirect":          {},
	"internal/claimheader": {},
	"internal/contract":    {"internal/patience", "internal/serviceurl"},
	"internal/entra":       {"internal/patience"},
	"internal/network":     {"internal/patience", "internal/serviceurl"},
	"internal/page":        {},
	"internal/patience":    {},
	"internal/returnpath":  {},
	"internal/serviceurl":  {},
	"internal/session":     {"verifier"},
	"redisstore":           {"caddymodule", "internal/...", "verifier"},

	// The other side. It shares no types with ours: a common struct would hide a common mistake.
	"emulator/...":          {"emulator/..."},
	"verifier/verifiertest": {"emulator/...", "verifier"},

	// Programs, and what only tests import.
	"internal/faultproxy":       {},
	"internal/canary":           {},
	"internal/redistest":        {},
	"cmd/caddy":                 {"", "caddymodule", "emulator/caddyemulator", "redisstore"},
	"e2e":                       {},
	"examples/...":              {},
	"e2e/internal/caddyprocess": {},
	"e2e/chaos":                 {},

	"scripts/load":      {"emulator/..."},
	"scripts/showtests": {"internal/canary"},
}

// within reports whether the folder is one of the listed ones, or below one that ends in "/...".
func within(folder string, list ...string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		parent, tree := strings.CutSuffix(entry, "/...")
		return folder == parent || tree && strings.HasPrefix(folder, parent+"/")
	})
}

// reachCaddy are the packages that Caddy's types may appear in.
var reachCaddy = []string{"", "caddymodule", "redisstore", "emulator/caddyemulator", "cmd/caddy", "e2e"}

// notInProduction are our folders that must not be in the tree of what xcaddy builds.
var notInProduction = []string{"emulator/...", "verifier/verifiertest", "internal/canary", "internal/redistest", "e2e/...", "internal/faultproxy"}

// goPackage is what `go list -json` says about one package.
type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

// folder is the package's folder in this module: "" for the root.
func (p goPackage) folder() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// listPackages lists every package of this module, example programs included.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list",
		"-json=ImportPath,Imports,TestImports,XTestImports,Deps", "./...")
	var stderr bytes.Buffer
	list.Stderr = &stderr
	stdout, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}

	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(stdout)); ; {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages = append(packages, p)
	}
	if len(packages) == 0 {
		t.Fatal("go list names no package")
	}
	return packages
}

// ours reports whether the import path is a package of this module, and which folder it is in.
func ours(importPath string) (folder string, ok bool) {
	if importPath == module {
		return "", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// isCaddy reports whether the import path belongs to Caddy itself.
func isCaddy(importPath string) bool {
	return strings.HasPrefix(importPath, "github.com/caddyserver/caddy/")
}

func TestImportsGoOneWay(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		known := false
		for importer, allowed := range mayImport {
			if !within(p.folder(), importer) {
				continue
			}
			known = true
			for _, imported := range p.Imports {
				if folder, ok := ours(imported); ok && !within(folder, allowed...) {
					t.Errorf("package %q imports %q, may import only %q", p.folder(), folder, allowed)
				}
			}
		}
		if !known {
			t.Errorf("package %q: add a line to mayImport that says which of our packages it may import", p.folder())
		}
	}
}

// Domain packages are used without Caddy: by IDV partners, by other servers, by tests that must not start one.
func TestDomainPackagesDoNotReachCaddy(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		if slices.Contains(reachCaddy, p.folder()) {
			continue
		}
		for _, imported := range slices.Concat(p.Deps, p.TestImports, p.XTestImports) {
			if isCaddy(imported) {
				t.Errorf("package %q or its tests reach %s", p.folder(), imported)
			}
		}
	}
}

// The emulator is the second opinion on everything the verifier sends and accepts; it may not ask the verifier.
func TestEmulatorDoesNotReachVerifier(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		if !within(p.folder(), "emulator/...") {
			continue
		}
		for _, dependency := range p.Deps {
			if folder, ok := ours(dependency); ok && !within(folder, "emulator/...") {
				t.Errorf("package %q reaches %q", p.folder(), folder)
			}
		}
	}
}

// A production build carries nothing that hands out credentials to whoever asks.
func TestProductionBuildHasNoEmulator(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		if p.folder() != "" && p.folder() != "caddymodule" && p.folder() != "redisstore" {
			continue
		}
		for _, dependency := range p.Deps {
			if folder, ok := ours(dependency); ok && within(folder, notInProduction...) || dependency == "testing" {
				t.Errorf("package %q reaches %s", p.folder(), dependency)
			}
		}
	}
}

// Who has one node carries no client for a store that they do not use: it is in builds that name its package.
func TestRedisIsInBuildsThatAskForIt(t *testing.T) {
	t.Parallel()
	reaches := map[string]bool{}
	for _, p := range listPackages(t) {
		for _, dependency := range p.Deps {
			reaches[p.folder()] = reaches[p.folder()] || strings.HasPrefix(dependency, "github.com/redis/")
		}
	}
	for folder, wants := range map[string]bool{"": false, "caddymodule": false, "redisstore": true} {
		if reaches[folder] != wants {
			t.Errorf("package %q reaches the client: %v, want %v", folder, reaches[folder], wants)
		}
	}
}
