// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// Whoever may read the running config, over the admin API, from the autosaved file or a support bundle, would have the client
// secret and could seal sessions. With references in the config, all they read are references. TM-148.
func TestConfigDumpHoldsReferencesOnly(t *testing.T) {
	secret, sealing := "canary-client-secret", base64.StdEncoding.EncodeToString(randomBytes(32))
	t.Setenv("CANARY_SECRET", secret)
	file := writeFile(t, "seal", sealing+"\n")
	config := adaptText(t, strings.Replace(caddyfileOf("sealing_key {file."+file+"}", ""), "{env.VERIFIED_ID_TEST_SECRET}", "{env.CANARY_SECRET}", 1))

	m := newMachine(t)
	dumps := map[string]string{"the adapted config": string(config)}
	err := m.load(t, config, func(ctx caddy.Context) {
		app := appOf(t, ctx)
		dumps["the provisioned app"] = string(mustJSON(app))
		ring, err := app.configuredSealingKeys()
		if err != nil || base64.StdEncoding.EncodeToString(ring[0]) != sealing {
			t.Errorf("the sealing key was not read: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	dumps["the admin API"], dumps["the autosaved config"] = m.run(t, config)
	for name, dump := range dumps {
		for _, reference := range []string{"{env.CANARY_SECRET}", "{file." + file + "}"} {
			if !strings.Contains(dump, reference) {
				t.Errorf("%s does not hold the reference %s; is it the config?\n%s", name, reference, dump)
			}
		}
	}
	dumps["the log"] = m.logged(t)
	for name, dump := range dumps {
		for _, canary := range []string{secret, sealing} {
			if strings.Contains(dump, canary) {
				t.Errorf("%s holds the secret %q", name, canary)
			}
		}
	}
	if strings.Contains(dumps["the log"], "stands in the config itself") {
		t.Error("a reference is warned about")
	}
}

// run runs a config for real, without anything that listens but the admin API, and returns what that and the autosaved file
// hold.
func (m machine) run(t *testing.T, config []byte) (api, autosaved string) {
	t.Helper()
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	cfg, err := m.config(config)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Admin = &caddy.AdminConfig{Listen: address}
	delete(cfg.AppsRaw, "verified_id_test_probe")
	usual := caddy.ConfigAutosavePath
	caddy.ConfigAutosavePath = filepath.Join(t.TempDir(), "autosave.json")
	t.Cleanup(func() {
		caddy.ConfigAutosavePath = usual
		if err := caddy.Load([]byte(`{"admin":{"disabled":true}}`), true); err != nil {
			t.Error(err)
		}
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := caddy.Load(mustJSON(cfg), true); err != nil {
		t.Fatalf("running: %v", err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/config/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Timeout: time.Minute}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := os.ReadFile(caddy.ConfigAutosavePath)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), string(saved)
}

// A secret in the config itself is warned about at each load, by the name of its option and not by its value.
func TestInlineSecretIsWarnedAbout(t *testing.T) {
	sealing, subject := base64.StdEncoding.EncodeToString(randomBytes(32)), base64.StdEncoding.EncodeToString(randomBytes(32))
	text := strings.Replace(caddyfileOf("sealing_key "+sealing+"\nsubject_key "+subject, ""), "{env.VERIFIED_ID_TEST_SECRET}", "canary-inline", 1)
	m := newMachine(t)
	if err := m.load(t, adaptText(t, text), nil); err != nil {
		t.Fatal(err)
	}
	warned := m.logged(t)
	for _, option := range []string{"client_secret", "sealing_key", "subject_key"} {
		if !strings.Contains(warned, option) || !strings.Contains(warned, "{env.NAME} or {file./path}") {
			t.Errorf("the log does not warn about %s:\n%s", option, warned)
		}
	}
	for _, canary := range []string{"canary-inline", sealing, subject} {
		if strings.Contains(warned, canary) {
			t.Errorf("the log holds %q", canary)
		}
	}
}

// Keys are replaced one after the other: the new one in front, the old one behind it until nothing needs it. At no step is
// anybody logged out, and who somebody is does not change. TM-151.
func TestSealingKeyRotation(t *testing.T) {
	setSecret(t)
	t.Setenv("SEAL_OLD", base64.StdEncoding.EncodeToString(randomBytes(32)))
	t.Setenv("SEAL_NEW", base64.StdEncoding.EncodeToString(randomBytes(32)))
	m := newMachine(t)
	sealed, subjects := map[string]string{}, map[string]bool{}
	for _, step := range []struct {
		options       string
		opens, refuse []string
	}{
		{options: ""},
		{options: "", opens: []string{"0"}}, // a restart
		{options: "sealing_key {env.SEAL_OLD}", refuse: []string{"0", "1"}},
		{options: "sealing_key {env.SEAL_OLD} {env.SEAL_NEW}", opens: []string{"2"}},
		{options: "sealing_key {env.SEAL_NEW} {env.SEAL_OLD}", opens: []string{"2", "3"}},
		{options: "sealing_key {env.SEAL_NEW}", opens: []string{"4"}, refuse: []string{"2", "3"}},
	} {
		name := string(rune('0' + len(sealed)))
		err := m.load(t, adaptText(t, caddyfileOf(step.options, "")), func(ctx caddy.Context) {
			keys := appOf(t, ctx).keys
			for _, earlier := range step.opens {
				if plain, err := keys.sessions.Open(sealed[earlier], "cookie"); err != nil || string(plain) != earlier {
					t.Errorf("step %s (%s): what step %s sealed does not open: %v", name, step.options, earlier, err)
				}
			}
			for _, earlier := range step.refuse {
				if _, err := keys.sessions.Open(sealed[earlier], "cookie"); err == nil {
					t.Errorf("step %s (%s): what step %s sealed opens", name, step.options, earlier)
				}
			}
			sealed[name] = keys.sessions.Seal([]byte(name), "cookie")
			subjects[keys.subjectOf("did:ion:holder")] = true
		})
		if err != nil {
			t.Fatalf("step %s: %v", name, err)
		}
	}
	if len(subjects) != 1 {
		t.Errorf("the holder had %d names during the rotation, want 1", len(subjects))
	}
}

// Partners fetch our public keys when they please. The new key signs at once and the old one stays published, so that links
// signed before the change are good until they expire. TM-151.
func TestKickstartKeyRotation(t *testing.T) {
	setSecret(t)
	m := newMachine(t)
	older := writeFile(t, "older.pem", string(signingKeyPEM(t)))
	newer := writeFile(t, "newer.pem", string(keyPEM(t, newerKey)))
	first := ""
	for _, step := range []struct {
		options   string
		published int
	}{
		{"kickstart_key " + older, 1},
		{"kickstart_key " + newer + " " + older, 2},
	} {
		err := m.load(t, adaptText(t, caddyfileOf(step.options, "")), func(ctx caddy.Context) {
			app := appOf(t, ctx)
			set, err := app.keys.kickstart.at(ctx, app.now())
			if err != nil {
				t.Fatal(err)
			}
			var public struct {
				Keys []map[string]any `json:"keys"`
			}
			if err := json.Unmarshal(set.JWKS(app.now()), &public); err != nil {
				t.Fatal(err)
			}
			if len(public.Keys) != step.published {
				t.Errorf("%s: %d keys are published, want %d", step.options, len(public.Keys), step.published)
			}
			ids := map[any]bool{}
			for _, key := range public.Keys {
				ids[key["kid"]] = true
				if key["d"] != nil || key["p"] != nil {
					t.Errorf("%s: a private key is published", step.options)
				}
			}
			signing := set.Signing(app.now()).KeyID()
			switch {
			case first == "":
				first = signing
			case signing == first || !ids[first] || !ids[signing]:
				t.Errorf("%s signs and %v are published; want the new key to sign and both published", signing, ids)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// During a reload the old config and the new one live side by side. With the same secret they share the token and the back-off;
// with another secret, or without the permission for plain HTTP, the new one must not be given the old one's client. TM-151,
// TM-137.
func TestClientSurvivesReloadsOfTheSameSecretOnly(t *testing.T) {
	setSecret(t)
	t.Setenv("ROTATED_SECRET", "another secret for tests only")
	m := newMachine(t)
	const trying = "service http://localhost:8090\ninsecure_loopback_http"
	err := m.load(t, adaptText(t, caddyfileOf(trying, "")), func(ctx caddy.Context) {
		before := appOf(t, ctx).client
		for name, c := range map[string]struct {
			text string
			same bool
		}{
			"the same":       {caddyfileOf(trying+"\npurpose \"Open payroll\"", ""), true},
			"another secret": {strings.Replace(caddyfileOf(trying, ""), "VERIFIED_ID_TEST_SECRET", "ROTATED_SECRET", 1), false},
		} {
			err := m.load(t, adaptText(t, c.text), func(ctx caddy.Context) {
				if same := appOf(t, ctx).client == before; same != c.same {
					t.Errorf("%s: shares the client: %v, want %v", name, same, c.same)
				}
			})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		wantError(t, m.load(t, adaptText(t, caddyfileOf("service http://localhost:8090", "")), nil), []string{testSecret}, "service", "https")
	})
	if err != nil {
		t.Fatal(err)
	}
}
