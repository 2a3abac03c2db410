// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// Somebody restores a backup and mixes two files up, or half of one is missing. Each visitor who was sent to a partner then got an
// error, and nobody was told before. Now the config does not load, and the error says which file it is. What nothing signs with is
// not asked for. TM-149.
func TestUnusableStoredSigningKeysDoNotLoad(t *testing.T) {
	setSecret(t)
	stored := func(generate func() (*idvredirect.SigningKey, error)) []byte {
		key, err := generate()
		if err != nil {
			t.Fatal(err)
		}
		set, err := idvredirect.NewKeySet(time.Now(), key)
		if err != nil {
			t.Fatal(err)
		}
		return mustJSON(set)
	}
	links, assertions := stored(generateKickstartKey), stored(idvredirect.GenerateAssertionKey)
	asserting := "payroll.contoso.example {\nverified_id {\n assertion\n}\nrespond app\n}\n"
	for name, c := range map[string]struct {
		path    string
		content []byte
		site    string
		partner bool
		want    string
	}{
		"links":                 {storedKickstartPath, links, "", true, ""},
		"links mixed up":        {storedKickstartPath, assertions, "", true, "of the other kind"},
		"links damaged":         {storedKickstartPath, links[:len(links)/2], "", true, "damaged"},
		"links not used":        {storedKickstartPath, assertions, "", false, ""},
		"assertions":            {storedAssertionPath, assertions, asserting, false, ""},
		"assertions mixed up":   {storedAssertionPath, links, asserting, false, "of the other kind"},
		"assertions damaged":    {storedAssertionPath, assertions[:20], asserting, false, "damaged"},
		"assertions not used":   {storedAssertionPath, links, "", false, ""},
		"links not made so far": {"verified_id/other.json", links, "", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			file := filepath.Join(m.storage, filepath.FromSlash(c.path))
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			text := caddyfileOf("", c.site)
			if c.partner {
				text = strings.Replace(caddyfileOf(nodeOptions, c.site), "face_check photo 80", "face_check photo 80\n idv vu", 1)
			}
			err := m.load(t, adaptText(t, text), nil)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("does not load: %v", err)
			case c.want != "":
				wantError(t, err, nil, c.path, c.want)
			}
		})
	}
}
