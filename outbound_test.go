// SPDX-License-Identifier: Apache-2.0

package verifiedid_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// connectors are the names by which Go code reaches the network as a client, by import path.
var connectors = map[string][]string{
	"net": {
		"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "DialUnix", "Dialer", "Resolver", "DefaultResolver",
		"LookupAddr", "LookupCNAME", "LookupHost", "LookupIP", "LookupMX", "LookupNS", "LookupPort", "LookupSRV", "LookupTXT",
	},
	"net/http":   {"Client", "DefaultClient", "Transport", "DefaultTransport", "Get", "Head", "Post", "PostForm"},
	"crypto/tls": {"Dial", "DialWithDialer", "Dialer", "Client"},
	"net/smtp":   {"Dial", "SendMail"},
	"net/rpc":    {"Dial", "DialHTTP"},
}

// connecting are the files of the production code that may use them, and what their only destinations are.
var connecting = map[string]string{
	"verifier/client.go":             "the Request Service, as configured",
	"internal/contract/fetch.go":     "a contract's manifest, as configured, and the host of its issuer's did:web; public addresses only",
	"internal/network/client.go":     "the Network API at the same base address, by a command of the operator only",
	"internal/entra/config.go":       "the token endpoint of the tenant, or the machine's identity endpoint",
	"internal/entra/source.go":       "the same",
	"internal/patience/transport.go": "those two: it only says for how long",
	"redisstore/dial.go":             "the store, as configured, or as its sentinels or its cluster name it",
}

// A server that fetches what a callback, a card or a visitor names can be sent into the operator's own network. Only the
// files listed here connect anywhere, each to a configured address; all other code of the gate cannot. TM-152.
func TestOnlyConfiguredHostsAreConnectedTo(t *testing.T) {
	t.Parallel()
	found := map[string][]string{}
	for _, name := range repositoryFiles(t) {
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || !inProduction(name) {
			continue
		}
		if uses := connectionsIn(t, name, readRepositoryFile(t, name)); len(uses) > 0 {
			found[name] = uses
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if connecting[name] == "" {
			t.Errorf("%s uses %s: only %v may connect", name, strings.Join(found[name], ", "), slices.Sorted(maps.Keys(connecting)))
		}
	}
	for name := range connecting {
		if len(found[name]) == 0 {
			t.Errorf("%s connects nowhere; take it off the list", name)
		}
	}
}

// The watcher must see what it is for, under an import of another name too.
func TestConnectionInNewCodeIsSeen(t *testing.T) {
	t.Parallel()
	planted := "package x\nimport web \"net/http\"\nfunc f(logo string) { web.Get(logo) }\n"
	if uses := connectionsIn(t, "planted.go", []byte(planted)); !slices.Equal(uses, []string{"net/http.Get"}) {
		t.Errorf("found %q in code that fetches a logo", uses)
	}
}

// inProduction says whether a file is part of what xcaddy builds.
func inProduction(name string) bool {
	for _, other := range []string{"cmd/", "e2e/", "emulator/", "examples/", "internal/faultproxy/", "scripts/", "verifier/verifiertest/"} {
		if strings.HasPrefix(name, other) {
			return false
		}
	}
	return true
}

func connectionsIn(t *testing.T, name string, source []byte) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, source, 0)
	if err != nil {
		t.Fatalf("parsing: %v", err)
	}
	imported := map[string]string{}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		local := path[strings.LastIndexByte(path, '/')+1:]
		if spec.Name != nil {
			local = spec.Name.Name
		}
		imported[local] = path
	}
	var uses []string
	ast.Inspect(file, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if pkg, ok := selector.X.(*ast.Ident); ok {
			path := imported[pkg.Name]
			if use := path + "." + selector.Sel.Name; slices.Contains(connectors[path], selector.Sel.Name) && !slices.Contains(uses, use) {
				uses = append(uses, use)
			}
		}
		return true
	})
	return uses
}
