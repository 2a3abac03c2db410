// SPDX-License-Identifier: Apache-2.0

package caddyemulator_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-verified-id/caddy-verified-id/emulator/caddyemulator"
)

var update = flag.Bool("update", false, "write the expected JSON of Caddyfile fixtures anew")

// TestAdapt adapts each testdata/adapt/*.caddyfiletest: a Caddyfile, a line of dashes, and the
// JSON it stands for, or a part of the error.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, ok := strings.Cut(string(content), "----------\n")
			if !ok {
				t.Fatalf("no line of dashes in %s", file)
			}
			if formatted := string(caddyfile.Format([]byte(input))); formatted != input {
				t.Errorf("the Caddyfile is not formatted; caddy fmt makes it\n%s", formatted)
			}
			got, err := adapt(input)
			if *update && err == nil {
				if err := os.WriteFile(file, []byte(input+"----------\n"+got+"\n"), 0o600); err != nil { //nolint:gosec // a fixture of ours
					t.Fatal(err)
				}
				return
			}
			want = strings.TrimSpace(want)
			switch {
			case want == "":
				t.Error("the fixture expects nothing")
			case strings.HasPrefix(want, "{"):
				if err != nil || got != want {
					t.Errorf("adapted to %v\n%s\nwant\n%s", err, got, want)
				}
			case err == nil || !strings.Contains(err.Error(), want):
				t.Errorf("error %v, want one with %q", err, want)
			}
		})
	}
}

func adapt(input string) (string, error) {
	adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
	config, _, err := adapter.Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "", err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, config, "", "\t"); err != nil {
		return "", err
	}
	return pretty.String(), nil
}
