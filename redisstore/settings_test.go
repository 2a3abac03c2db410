// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-verified-id/caddy-verified-id/caddymodule"
	"github.com/caddy-verified-id/caddy-verified-id/redisstore"
)

// parse reads the options of a store, one a line.
func parse(options string) (*redisstore.Module, error) {
	m := new(redisstore.Module)
	return m, m.UnmarshalCaddyfile(caddyfile.NewTestDispenser("redis {\n" + options + "\n}"))
}

// provision makes a module of options that must be right.
func provision(t testing.TB, options string) *redisstore.Module {
	t.Helper()
	m, err := parse(options)
	if err != nil {
		t.Fatalf("reading %s: %v", options, err)
	}
	if err := m.Provision(newContext(t)); err != nil {
		t.Fatalf("provisioning %s: %v", options, err)
	}
	return m
}

func newContext(t testing.TB) caddy.Context {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	return ctx
}

func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Somebody writes the URL that their provider gave them, password and all, and the log keeps it for ever. However it is written,
// and wherever it comes from, it is refused without being repeated. TM-134.
func TestPasswordInAddressIsNotRepeated(t *testing.T) {
	const secret = "canary-hunter2"
	for _, address := range []string{
		"redis://:" + secret + "@redis.internal:6379/0", "rediss://user:" + secret + "@redis.internal", ":" + secret + "@redis.internal:6379",
		"redis.internal:6379?password=" + secret, "redis.internal:6379:" + secret, "redis.internal:" + secret, secret,
		"unix/" + secret, secret + "@:6379", "redis.internal:6379," + "password=" + secret, "[" + secret, "http://[::1]:" + secret,
	} {
		t.Setenv("CANARY_ADDRESS", address)
		quoted, err := json.Marshal(address)
		if err != nil {
			t.Fatal(err)
		}
		errs := map[string]error{}
		_, errs["Caddyfile"] = parse("address " + string(quoted) + "\ntls")
		for from, written := range map[string]string{"JSON": address, "environment": "{env.CANARY_ADDRESS}"} {
			errs[from] = (&redisstore.Module{Addresses: []string{written}, TLS: true}).Provision(newContext(t))
		}
		for from, err := range errs {
			if err == nil {
				t.Errorf("%s: address %q is taken", from, address)
			} else if strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "address") {
				t.Errorf("%s: the error is %q; it must name the option and not the password", from, err)
			}
		}
	}
}

// The same for passwords that stand where their file should be named, or are references that lead nowhere. TM-134.
func TestPasswordInPlaceOfItsFileIsNotRepeated(t *testing.T) {
	const secret = "canary-hunter2"
	file := writeFile(t, "password", secret+"\n")
	for _, options := range []string{
		"password_file {file." + file + "}", "password_file " + secret, "password \"a {b.c} " + secret + "\"",
	} {
		m, err := parse("address localhost:6379\n" + options)
		if err == nil {
			err = m.Provision(newContext(t))
		}
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: error %v; want one without the password", options, err)
		}
	}
}

// What a password is, configs with another one must not find out, and the name of a store is seen by whoever lists them.
func TestStoreKeyTellsSettingsApart(t *testing.T) {
	const base = "address localhost:6379\nusername verified-id\n"
	one, two := writeFile(t, "one", "password"), writeFile(t, "two", "password")
	cfg := caddymodule.StoreConfig{NameKey: nameKey}
	first := provision(t, base+"password canary-hunter2").StoreKey(cfg)
	if first != provision(t, base+"password canary-hunter2").StoreKey(cfg) {
		t.Error("the same settings have two keys, so that a reload would change stores")
	}
	if strings.Contains(first, "hunter2") {
		t.Errorf("the key %q tells the password", first)
	}
	seen := map[string]string{first: "the first"}
	for _, options := range []string{
		base + "password another", base + "password_file " + one, base + "password_file " + two,
		base + "password canary-hunter2\nprefix payroll", base + "password canary-hunter2\ndatabase 1", base + "password canary-hunter2\ntls",
		base + "password canary-hunter2\ncluster", base + "password canary-hunter2\ninsecure_plaintext",
		strings.Replace(base, "localhost", "127.0.0.1", 1) + "password canary-hunter2",
	} {
		key := provision(t, options).StoreKey(cfg)
		if other, known := seen[key]; known {
			t.Errorf("%s\nshares its store with\n%s", options, other)
		}
		seen[key] = options
	}
	cfg.NameKey = []byte(strings.Repeat("another ", 4))
	if provision(t, base+"password canary-hunter2").StoreKey(cfg) == first {
		t.Error("installations with other keys share a store")
	}
}
