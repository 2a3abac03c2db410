// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// use is an option as it stands in a Caddyfile.
type use struct {
	optionName
	line int
}

// usesIn finds our options in a Caddyfile, with their lines.
func usesIn(text string) []use {
	var out []use
	var blocks []string // names of the open blocks, from outside
	for number, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == "}" {
			blocks = blocks[:len(blocks)-1]
			continue
		}
		if i := slices.Index(blocks, "verified_id"); i >= 0 && i+2 >= len(blocks) {
			block := blocks[len(blocks)-1]
			if block == "verified_id" {
				block = "gate"
				if blocks[0] == "{" {
					block = "app"
				}
			}
			out = append(out, use{optionName{block, words[0]}, number + 1})
		}
		if words[len(words)-1] == "{" {
			blocks = append(blocks, words[0])
		}
	}
	return out
}

// fixtures are the Caddyfiles of the fixtures that adapt, and of those that do not with their errors.
func fixtures(t *testing.T) (good map[string]string, bad map[string][2]string) {
	t.Helper()
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	good, bad = map[string]string{}, map[string][2]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		input, want, _ := strings.Cut(string(content), "----------\n")
		if strings.HasPrefix(want, "{") {
			good[file] = input
		} else {
			bad[file] = [2]string{input, want}
		}
		if isError := strings.HasPrefix(filepath.Base(file), "error_"); isError == strings.HasPrefix(want, "{") {
			t.Errorf("%s: the name and the expectation do not agree", file)
		}
	}
	return good, bad
}

var errorLine = regexp.MustCompile(`at Caddyfile:(\d+)`)

// TestEveryOptionHasFixtures fails when an option appears in the code and nobody shows how it is written, or what is said when
// it is written wrong.
func TestEveryOptionHasFixtures(t *testing.T) {
	options := knownOptions(t)
	if len(options) < 60 {
		t.Fatalf("found %d options only; has the way they are declared changed? %v", len(options), options)
	}
	good, bad := fixtures(t)
	shown, refused := map[optionName]bool{}, map[optionName]bool{}
	for _, input := range good {
		for _, u := range usesIn(input) {
			shown[u.optionName] = true
		}
	}
	for file, fixture := range bad {
		place := errorLine.FindStringSubmatch(fixture[1])
		if place == nil {
			t.Errorf("%s: the error names no line: %s", file, fixture[1])
			continue
		}
		for _, u := range usesIn(fixture[0]) {
			// The option is the one on the line, or one of the block that begins there, and the error says its name.
			word := regexp.MustCompile(`\b` + regexp.QuoteMeta(u.option) + `\b`)
			if line, err := strconv.Atoi(place[1]); err == nil && u.line >= line && word.MatchString(fixture[1]) {
				refused[u.optionName] = true
			}
		}
	}
	for _, o := range options {
		if !shown[o] {
			t.Errorf("option %q is in no fixture that adapts", o)
		}
		if !refused[o] {
			t.Errorf("option %q is in no fixture that is refused", o)
		}
	}
}

// TestNothingIsSwallowed writes each option of each fixture a little wrong: with a word more, without its words, with an empty
// word, with a block, on a second line. Either that is an error that names the option and the line, or what was added is
// found in the JSON. A word that an operator writes and nobody reads is a demand that nobody makes.
func TestNothingIsSwallowed(t *testing.T) {
	good, _ := fixtures(t)
	tried := map[optionName]bool{}
	for _, input := range good {
		plain, err := tryAdapt(input)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range usesIn(input) {
			if tried[u.optionName] {
				continue
			}
			tried[u.optionName] = true
			for _, change := range changes(input, u) {
				t.Run(u.block+"/"+u.option+"/"+change.name, func(t *testing.T) {
					got, err := tryAdapt(change.text)
					switch {
					case err == nil && change.mustFail:
						t.Errorf("adapts although the line reads %q", change.line)
					case err == nil && bytes.Equal(got, plain):
						t.Errorf("the line %q means the same as before: something was swallowed", change.line)
					case err != nil && !strings.Contains(err.Error(), u.option):
						t.Errorf("error %q does not name the option; the line is %q", err, change.line)
					case err != nil && !errorLine.MatchString(err.Error()):
						t.Errorf("error %q names no line; the line is %q", err, change.line)
					}
				})
			}
		}
	}
	for _, o := range knownOptions(t) {
		if !tried[o] {
			t.Errorf("option %q was not tried", o)
		}
	}
}

// change is a Caddyfile with one line written wrong.
type change struct {
	name, text, line string
	mustFail         bool
}

// optionalArguments are options that may stand alone or with arguments.
var optionalArguments = []string{"assertion", "face_check", "managed_identity"}

// optionalBlocks are options that may have a block or none.
var optionalBlocks = []string{"store"}

func changes(input string, u use) []change {
	lines := strings.Split(input, "\n")
	line := lines[u.line-1]
	head, opens := strings.CutSuffix(line, " {")
	words := strings.Fields(head)
	with := func(name string, mustFail bool, replacement ...string) change {
		text := slices.Concat(lines[:u.line-1], replacement, lines[u.line:])
		return change{name, strings.Join(text, "\n"), strings.Join(replacement, "\n"), mustFail}
	}
	tail := ""
	if opens {
		tail = " {"
	}
	out := []change{with("one word more", false, head+" surplus"+tail)}
	if len(words) > 1 {
		alone := !slices.Contains(optionalArguments, u.option) && u.option != "entra"
		out = append(out,
			with("without its words", alone, "\t"+u.option+tail),
			with("an empty word", true, lastWord.ReplaceAllString(head, `""`)+tail))
	}
	if !opens {
		out = append(out, with("a block", true, head+" {", "surplus", "}"), with("twice", false, line, line))
		if !slices.Contains(optionalBlocks, u.option) {
			out = append(out, with("an empty block", true, head+" {", "}"))
		}
	}
	return out
}

// lastWord is the last argument of a line, quoted or not.
var lastWord = regexp.MustCompile(`("[^"]*"|\S+)$`)

func tryAdapt(text string) ([]byte, error) {
	adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
	config, _, err := adapter.Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	return config, err
}

// TestReferenceExplainsEveryOption keeps docs/caddyfile.md complete: each option has its row in the table of its block, and
// each row is an option.
func TestReferenceExplainsEveryOption(t *testing.T) {
	reference, err := os.ReadFile("../docs/caddyfile.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	block := ""
	heading, row := regexp.MustCompile("^##+ .*`([a-z_]+)`"), regexp.MustCompile("^\\| `([a-z_]+)")
	for line := range strings.Lines(string(reference)) {
		if m := heading.FindStringSubmatch(line); m != nil {
			block = m[1]
			switch {
			case strings.Contains(line, "global option"):
				block = "app"
			case strings.Contains(line, "directive"):
				block = "gate"
			}
		} else if strings.HasPrefix(line, "## ") {
			block = ""
		}
		if m := row.FindStringSubmatch(line); m != nil && block != "" {
			explained[optionName{block, m[1]}.String()] = true
		}
	}
	for _, o := range knownOptions(t) {
		if !explained[o.String()] {
			t.Errorf("docs/caddyfile.md has no row for the option %q", o)
		}
		delete(explained, o.String())
	}
	for o := range explained {
		t.Errorf("docs/caddyfile.md explains %q, which is no option", o)
	}
}

// TestCaddyfileExampleLoads follows the example as far as one can without a tenant: with the secrets it names in place, it
// loads, and the gate stands where it says.
func TestCaddyfileExampleLoads(t *testing.T) {
	example, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	if formatted := caddyfile.Format(example); !bytes.Equal(formatted, example) {
		t.Error("the example is not formatted; run caddy fmt")
	}
	t.Setenv("ENTRA_CLIENT_ID", "11111111-2222-3333-4444-555555555555")
	secret := writeFile(t, "entra", testSecret+"\n")
	text := strings.ReplaceAll(string(example), "/run/secrets/entra", secret)
	if text == string(example) {
		t.Fatal("the example takes its secret from elsewhere; change this test")
	}
	config := adaptText(t, text)
	err = newMachine(t).load(t, config, nil)
	if err != nil {
		t.Errorf("loading the example: %v", err)
	}
}
