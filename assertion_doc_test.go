// SPDX-License-Identifier: Apache-2.0

package verifiedid_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	_ "github.com/caddy-verified-id/caddy-verified-id/emulator/caddyemulator"
)

const assertionDoc = "docs/assertion.md"

// An app's author copies the check from the documentation. What stands there in Go and JavaScript is, to the letter, what the
// tests run. TM-009.
func TestShownChecksAreThoseThatRun(t *testing.T) {
	t.Parallel()
	doc := readRepositoryFile(t, assertionDoc)
	for language, file := range map[string]string{
		"go": "examples/assertion-go/verify.go", "js": "examples/assertion-node/verify.mjs",
	} {
		_, code, found := bytes.Cut(readRepositoryFile(t, file), []byte("\n\n")) // the line before names the license
		if !found || !bytes.Contains(doc, []byte("```"+language+"\n"+string(code)+"```\n")) {
			t.Errorf("%s does not show %s as it is", assertionDoc, file)
		}
	}
	for _, language := range []string{"go", "js", "python", "csharp", "java"} {
		_, rest, _ := strings.Cut(string(doc), "```"+language+"\n")
		code, _, _ := strings.Cut(rest, "```")
		for _, pinned := range []string{"verified-id-assertion+jwt", "/.verified-id/jwks.json", "/.verified-id\""} {
			if code = strings.ReplaceAll(code, "`", `"`); !strings.Contains(code, pinned) {
				t.Errorf("%s: the check in %s has no %s", assertionDoc, language, pinned)
			}
		}
		if !strings.Contains(code, "ES256") && !strings.Contains(code, "EcdsaSha256") {
			t.Errorf("%s: the check in %s pins no algorithm", assertionDoc, language)
		}
	}
}

// A claim is added to the assertion, and the table goes on without it.
func TestEveryClaimOfTheAssertionIsDocumented(t *testing.T) {
	t.Parallel()
	const source = "caddymodule/assertion.go"
	file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("parsing: %v", err)
	}
	doc, claims := string(readRepositoryFile(t, assertionDoc)), 0
	ast.Inspect(file, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if !ok || field.Tag == nil {
			return true
		}
		tag, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			t.Fatalf("reading a tag: %v", err)
		}
		name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		claims++
		if !strings.Contains(doc, "`"+name+"`") {
			t.Errorf("%s does not name %s", assertionDoc, name)
		}
		return true
	})
	if claims < 15 {
		t.Errorf("found %d claims in %s", claims, source)
	}
}

// exampleCaddyfile are those that no other test reads as they stand, without the environment of a script.
var exampleCaddyfile = regexp.MustCompile(`^examples/(assertion-[a-z]+/Caddyfile|cluster/[a-z]+\.Caddyfile)$`)

// The Caddyfiles of the examples are read by Caddy as they stand.
func TestExampleCaddyfilesAdapt(t *testing.T) {
	t.Parallel()
	for _, name := range repositoryFiles(t) {
		name = filepath.ToSlash(name)
		if !exampleCaddyfile.MatchString(name) {
			continue
		}
		adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
		_, warnings, err := adapter.Adapt(readRepositoryFile(t, name), map[string]any{"filename": name})
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %v", name, err, warnings)
		}
	}
}
