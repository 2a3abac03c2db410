// SPDX-License-Identifier: Apache-2.0

// Command showtests reads what `go test -json` writes, prints what `go test` without it prints, and fails when anything the tests
// printed, of passing tests too, holds a secret or a claim (TM-141, TM-142, TM-144).
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/caddy-verified-id/caddy-verified-id/internal/canary"
)

func main() {
	if err := show(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "showtests:", err)
		os.Exit(1) //nolint:forbidigo // the only way for a program to fail
	}
}

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

// show copies what failed and each package's own line. Exit and error belong to `go test`, but for what was told.
func show(in io.Reader, out io.Writer) error {
	told := 0
	printed := map[string]*strings.Builder{} // by package and test
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			told += showLine(line, printed, out)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if told > 0 {
		return fmt.Errorf("%d lines that the tests printed hold what must stay secret", told)
	}
	return nil
}

func showLine(line string, printed map[string]*strings.Builder, out io.Writer) (told int) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil {
		e = event{Action: "build-output", Output: line}
	}
	name := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "output":
		if what, at := canary.Find(e.Output); what != "" {
			told++
			fmt.Fprintf(out, "%s tells %s: %s\n", name, what, strings.TrimSpace(e.Output[:at])) // and not the secret again
		}
		if e.Test == "" && (strings.HasPrefix(e.Output, "ok ") || strings.HasPrefix(e.Output, "FAIL") || strings.HasPrefix(e.Output, "?")) {
			fmt.Fprint(out, e.Output)
			return told
		}
		if strings.HasPrefix(e.Output, "=== ") { // as go test without -v
			return told
		}
		if printed[name] == nil {
			printed[name] = new(strings.Builder)
		}
		printed[name].WriteString(e.Output)
	case "fail":
		if printed[name] != nil {
			fmt.Fprint(out, printed[name].String())
		}
		delete(printed, name)
	case "pass", "skip":
		delete(printed, name)
	}
	return told
}
