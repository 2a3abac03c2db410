// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-verified-id/caddy-verified-id/caddymodule"
	_ "github.com/caddy-verified-id/caddy-verified-id/redisstore"
)

// update writes the JSON of the fixtures anew: go test ./caddymodule -run Adapt -update. Read the difference before you
// commit it.
var update = flag.Bool("update", false, "write the expected JSON of Caddyfile fixtures anew")

const separator = "----------"

// TestAdapt adapts each testdata/adapt/*.caddyfiletest: a Caddyfile, a line of dashes, and the JSON it stands for, or the
// text of the error, which must be found in the real one.
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
			input, want, ok := strings.Cut(string(content), separator+"\n")
			if !ok {
				t.Fatalf("no line of dashes in %s", file)
			}
			if formatted := string(caddyfile.Format([]byte(input))); formatted != input {
				t.Errorf("the Caddyfile is not formatted; caddy fmt makes it\n%s", formatted)
			}
			got, adaptErr := adapt(input)
			if *update && adaptErr == nil {
				if err := os.WriteFile(file, []byte(input+separator+"\n"+got+"\n"), 0o600); err != nil { //nolint:gosec // a fixture of ours
					t.Fatal(err)
				}
				return
			}
			want = strings.TrimSpace(want)
			switch {
			case strings.HasPrefix(want, "{") && adaptErr != nil:
				t.Errorf("error %v, want JSON", adaptErr)
			case strings.HasPrefix(want, "{"):
				if got != want {
					t.Errorf("adapted to\n%s\nwant\n%s", got, want)
				}
			case want == "":
				t.Error("the fixture expects nothing")
			case adaptErr == nil:
				t.Errorf("adapted without error, want one with %q", want)
			case !strings.Contains(adaptErr.Error(), want):
				t.Errorf("error %q, want one with %q", adaptErr, want)
			}
		})
	}
}

func adapt(input string) (string, error) {
	adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
	config, warnings, err := adapter.Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "", err
	}
	if len(warnings) > 0 {
		return "", warningError(warnings)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, config, "", "\t"); err != nil {
		return "", err
	}
	return pretty.String(), nil
}

type warningError []caddyconfig.Warning

func (w warningError) Error() string {
	var texts []string
	for _, warning := range w {
		texts = append(texts, warning.String())
	}
	return "warnings: " + strings.Join(texts, "; ")
}
