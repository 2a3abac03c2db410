// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"os"
	"strings"
	"testing"
)

// Every command has a section of its own in docs/commands.md, and an example that names it.
func TestCommandsAreDocumented(t *testing.T) {
	content, err := os.ReadFile("../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, command := range subcommands {
		cmd := command()
		names = append(names, cmd.Name())
		_, section, found := strings.Cut(string(content), "\n## "+cmd.Name()+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		if !found || !strings.Contains(section, "caddy verified-id "+cmd.Name()+" ") {
			t.Errorf("docs/commands.md has no section %q with an example", cmd.Name())
		}
		for _, sub := range cmd.Commands() {
			if !strings.Contains(section, "caddy verified-id "+cmd.Name()+" "+sub.Name()) {
				t.Errorf("section %q has no example of %s", cmd.Name(), sub.Name())
			}
		}
	}
	if sections := strings.Count(string(content), "\n## "); sections != len(names) {
		t.Errorf("docs/commands.md has %d sections, want one for each of %q", sections, names)
	}
}
