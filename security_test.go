// SPDX-License-Identifier: Apache-2.0

package verifiedid_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-verified-id/caddy-verified-id"
	_ "github.com/caddy-verified-id/caddy-verified-id/redisstore"
)

// securityDoc is what operators read, with a table of all security properties.
const securityDoc = "docs/security.md"

// lastProperty is the highest number of the threat model.
const lastProperty = 159

// notYet are the properties that must hold and do not, or not in full. Whoever makes one of them hold takes it out here and
// in the table. Adding one is a decision: it belongs into the commit's message, with the reason.
var notYet = []int{}

// advised are the properties that the threat model advises and does not demand; only these may be left undone with a reason.
var advised = []int{11, 36, 41, 42, 66, 158}

// property is one row of the table.
type property struct {
	number  int
	holds   string
	tests   []string // "folder.Name", or "Name" for this folder
	should  bool
	missing bool
}

var (
	rowPattern  = regexp.MustCompile(`^\| TM-([0-9]{3}) \| (.+) \| (.+) \|$`)
	testPattern = regexp.MustCompile("`((?:[a-z0-9/]+\\.)?(?:Test|Fuzz)[A-Za-z0-9]+)`")
)

// properties reads the table. Lines that look like a row and are none fail the test.
func properties(t *testing.T) []property {
	t.Helper()
	content, err := os.ReadFile(securityDoc)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	var out []property
	for i, line := range strings.Split(string(content), "\n") {
		found := rowPattern.FindStringSubmatch(line)
		if found == nil {
			if strings.Contains(line, "| TM-") {
				t.Errorf("%s:%d: not a row of number, sentence and tests: %s", securityDoc, i+1, line)
			}
			continue
		}
		p := property{holds: found[2]}
		if p.number, err = strconv.Atoi(found[1]); err != nil {
			t.Fatalf("%s:%d: %v", securityDoc, i+1, err)
		}
		for _, name := range testPattern.FindAllStringSubmatch(found[3], -1) {
			p.tests = append(p.tests, name[1])
		}
		p.should = strings.Contains(found[3], "should: ")
		p.missing = strings.Contains(found[3], "not yet: ")
		out = append(out, p)
	}
	return out
}

// Somebody adds a property to the threat model, or removes a row, and nobody notices that nothing shows it any more. Each
// number stands in the table once, in order, with what shows it, or with why nothing does.
func TestEveryPropertyIsAccountedFor(t *testing.T) {
	t.Parallel()
	next := 1
	for _, p := range properties(t) {
		if p.number != next {
			t.Errorf("TM-%03d stands where TM-%03d should: the numbers go from 001 to %d, each once", p.number, next, lastProperty)
		}
		next = p.number + 1
		if p.number < 1 || p.number > lastProperty {
			t.Errorf("TM-%03d is no number of the threat model", p.number)
		}
		if len(p.tests) == 0 && !p.should && !p.missing {
			t.Errorf("TM-%03d names no test, and neither a reason (should:) nor what is missing (not yet:)", p.number)
		}
		if len(strings.Fields(p.holds)) < 4 {
			t.Errorf("TM-%03d says only %q", p.number, p.holds)
		}
		if p.should && !slices.Contains(advised, p.number) {
			t.Errorf("TM-%03d must hold; a reason is not enough. Write not yet:, and add it to the list in this test", p.number)
		}
		if listed := slices.Contains(notYet, p.number); p.missing != listed {
			t.Errorf("TM-%03d is %v in the table as not yet there, and %v in the list of this test", p.number, p.missing, listed)
		}
	}
	if next != lastProperty+1 {
		t.Errorf("the table ends with TM-%03d, want TM-%d", next-1, lastProperty)
	}
}

// A test is renamed or deleted, and the table goes on naming it; or it is about something else. Every function it names is
// there, as a test that go test runs, and one at least of each property that holds names the property's number.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	known := map[string]map[string][]int{}
	for _, p := range properties(t) {
		speaks := len(p.tests) == 0 || p.missing
		for _, name := range p.tests {
			folder, function := ".", name
			if i := strings.LastIndexByte(name, '.'); i >= 0 {
				folder, function = name[:i], name[i+1:]
			}
			if known[folder] == nil {
				known[folder] = testsIn(t, folder)
			}
			about, there := known[folder][function]
			if !there {
				t.Errorf("TM-%03d: package %s has no %s", p.number, folder, function)
			}
			speaks = speaks || slices.Contains(about, p.number)
		}
		if !speaks {
			t.Errorf("TM-%03d: none of %q names it", p.number, p.tests)
		}
	}
}

// testsIn are the test and fuzz functions of a folder, with the properties that each names.
func testsIn(t *testing.T, folder string) map[string][]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(folder), "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Errorf("package %s has no tests (%v)", folder, err)
	}
	found := map[string][]int{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("reading: %v", err)
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("parsing %s: %v", file, err)
		}
		for _, declaration := range parsed.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || !isTest(function) {
				continue
			}
			from := function.Pos()
			if function.Doc != nil {
				from = function.Doc.Pos()
			}
			found[function.Name.Name] = numbersIn(content[set.Position(from).Offset:set.Position(function.End()).Offset])
		}
	}
	return found
}

var numberPattern = regexp.MustCompile(`TM-([0-9]{3})(?: to TM-([0-9]{3}))?`)

// numbersIn are the properties that a text names, one by one or from one to another.
func numbersIn(text []byte) []int {
	numbers := []int{}
	for _, found := range numberPattern.FindAllSubmatch(text, -1) {
		first, err := strconv.Atoi(string(found[1]))
		if err != nil {
			continue
		}
		last := first
		if len(found[2]) > 0 {
			if last, err = strconv.Atoi(string(found[2])); err != nil {
				continue
			}
		}
		for n := first; n <= last; n++ {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// isTest says whether go test runs the function: its only parameter is a *testing.T or *testing.F, and it has no receiver.
func isTest(function *ast.FuncDecl) bool {
	parameters := function.Type.Params.List
	if function.Recv != nil || len(parameters) != 1 {
		return false
	}
	pointer, ok := parameters[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	kind, ok := pointer.X.(*ast.SelectorExpr)
	return ok && (kind.Sel.Name == "T" || kind.Sel.Name == "F")
}

// identityForExamples is what examples of credentials and partners leave out.
const identityForExamples = `
		entra contoso.onmicrosoft.com {
			client_id     11111111-2222-3333-4444-555555555555
			client_secret {env.ENTRA_CLIENT_SECRET}
		}
		authority   did:web:verifiedid.contoso.com
		client_name "Contoso Payroll"
`

// appForExamples stands before examples that leave the global option out.
const appForExamples = `{
	verified_id {
` + identityForExamples + `
		credential employee {
			type   VerifiedEmployee
			issuer did:web:verifiedid.contoso.com
		}
		credential contractor {
			type   VerifiedContractor
			issuer did:web:partner.example
		}
	}
}
`

// An operator copies an example of the documentation. It is read by Caddy as it stands.
func TestDocumentedExamplesAdapt(t *testing.T) {
	t.Parallel()
	pages := []string{"README.md"}
	for _, pattern := range []string{"docs/*.md", "examples/*/README.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	var examples []string
	for _, name := range pages {
		for _, found := range regexp.MustCompile("(?s)```caddyfile\n(.*?)```").FindAllSubmatch(readRepositoryFile(t, name), -1) {
			examples = append(examples, string(found[1]))
		}
	}
	if len(examples) < 8 {
		t.Fatalf("%d examples in %v", len(examples), pages)
	}
	for _, text := range examples {
		if strings.Contains(text, "verified_id_emulator") { // of another Caddy, cmd/caddy
			continue
		}
		switch {
		case strings.HasPrefix(text, "credential "): // a part of the app, as docs/partners.md shows it
			text = "{\n\tverified_id {\n" + identityForExamples + text + "\t}\n}\n"
		case !strings.HasPrefix(text, "{"):
			text = appForExamples + text
		}
		adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
		if _, warnings, err := adapter.Adapt([]byte(text), nil); err != nil {
			t.Errorf("%v\n%s", err, text)
		} else {
			for _, warning := range warnings {
				if !strings.Contains(warning.Message, "not formatted") {
					t.Errorf("%s\n%s", warning, text)
				}
			}
		}
	}
}

var errorRoutes = regexp.MustCompile(`handle_errors[^\n{}]*\{`)

// Whoever copies an error route that proxies, from any file of ours, must copy the line that strips with it: without the gate
// before it, an app believes what the client wrote. TM-008.
func TestShownErrorRoutesStrip(t *testing.T) {
	t.Parallel()
	shown := 0
	for _, name := range repositoryFiles(t) {
		base := filepath.Base(name)
		if !strings.HasPrefix(base, "Caddyfile") && filepath.Ext(name) != ".md" && filepath.Ext(name) != ".caddyfiletest" {
			continue
		}
		content := readRepositoryFile(t, name)
		for _, at := range errorRoutes.FindAllIndex(content, -1) {
			body := block(content[at[1]:])
			shown++
			proxy := bytes.Index(body, []byte("reverse_proxy"))
			if strip := bytes.Index(body, []byte("verified_id_strip")); proxy >= 0 && (strip < 0 || strip > proxy) {
				t.Errorf("%s shows an error route that proxies before verified_id_strip:\n%s", name, body)
			}
		}
	}
	if shown == 0 {
		t.Error("no error route is shown anywhere; how it is written must stand in the documentation")
	}
}

// block is the content of a block whose opening brace is just before it.
func block(content []byte) []byte {
	depth := 1
	for i, c := range content {
		switch c {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			return content[:i]
		}
	}
	return content
}

var insecureOption = regexp.MustCompile(`json:"(insecure_[a-z_]+)`)

// An option that weakens the gate is added, and the documentation goes on saying that these, and no others, do. TM-150.
func TestDocsListEveryWeakening(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(securityDoc)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	inCode := map[string]bool{}
	err = filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || !inProduction(filepath.ToSlash(path)) {
			return err
		}
		content, err := os.ReadFile(path)
		for _, found := range insecureOption.FindAllSubmatch(content, -1) {
			inCode[string(found[1])] = true
		}
		return err
	})
	if err != nil || len(inCode) < 3 {
		t.Fatalf("options in the code: %v (%v)", inCode, err)
	}
	for option := range inCode {
		if !bytes.Contains(doc, []byte("`"+option+"`")) {
			t.Errorf("%s does not name %s", securityDoc, option)
		}
	}
	for _, named := range regexp.MustCompile("`(insecure_[a-z_]+)`").FindAllSubmatch(doc, -1) {
		if !inCode[string(named[1])] {
			t.Errorf("%s names %s, which is no option", securityDoc, named[1])
		}
	}
}

// A build that takes other versions tomorrow, or needs a C compiler and what that links in, is not the one that was tested.
// TM-159.
func TestBuildIsPinnedAndPlain(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	for _, loose := range []string{"\nreplace ", "\nexclude ", "\nretract "} {
		if bytes.Contains(mod, []byte(loose)) {
			t.Errorf("go.mod has a line of%s", strings.TrimRight(loose, " "))
		}
	}
	if !bytes.Contains(mod, []byte("\ngo 1.")) || !regexp.MustCompile(`github\.com/caddyserver/caddy/v2 v2\.[0-9]+\.[0-9]+\n`).Match(mod) {
		t.Error("go.mod does not name the lowest Go and a released Caddy")
	}
	if _, err := os.Stat("go.sum"); err != nil {
		t.Errorf("the versions are not pinned: %v", err)
	}
	for _, name := range repositoryFiles(t) {
		if filepath.Ext(name) == ".go" && bytes.Contains(readRepositoryFile(t, name), []byte("\nimport "+`"C"`)) {
			t.Errorf("%s needs C", name)
		}
	}
}
