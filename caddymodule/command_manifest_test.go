// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// manifestServer serves the emulator's manifests on this machine, and returns where one of them is.
func manifestServer(t *testing.T) (address string) { return manifestOf(t, "VerifiedIdentity") }

func manifestOf(t *testing.T, kind string) (address string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	origin := "http://" + server.Listener.Addr().String()
	e, err := emulator.New(emulator.Config{PublicURL: origin, TokenURL: "https://localhost:1"})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = e.ServiceHandler()
	server.Start()
	t.Cleanup(func() {
		server.Close()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := e.Contract(kind)
	if err != nil {
		t.Fatal(err)
	}
	return e.ManifestURL(c)
}

func runManifest(args ...string) (string, error) {
	var out bytes.Buffer
	cmd := manifestCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	err := cmd.Execute()
	return out.String(), err
}

// exitCode is what the process would end with.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if code := reflect.Indirect(reflect.ValueOf(err)).FieldByName("ExitCode"); code.IsValid() {
		return int(code.Int())
	}
	return 1
}

// The command prints what belongs into the Caddyfile.
func TestManifestCommandPrintsTheLines(t *testing.T) {
	address := manifestServer(t)
	out, err := runManifest(address, "--insecure-loopback-http", "--issuer", emulator.PartnerAuthority)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\ttype VerifiedIdentity\n\tissuer " + emulator.PartnerAuthority + "\n", "NOT VERIFIED: ", "portrait"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	for _, args := range [][]string{
		{address}, {"/nowhere/manifest.json"}, {writeFile(t, "manifest.json", "{}")}, {strings.Replace(address, "/manifest", "/other", 1), "--insecure-loopback-http"},
	} {
		if out, err := runManifest(args...); exitCode(err) != 1 {
			t.Errorf("%q: exit code %d, printed %s", args, exitCode(err), out)
		}
	}
}

// Whoever has the manifest's host names another issuer, whose DID leads nowhere. A script that saves the manifest must not take that for a
// good one: it ends with a code of its own and saves nothing, unless the operator knows the DID from elsewhere.
func TestUnverifiedManifestIsNotSaved(t *testing.T) {
	address := manifestServer(t)
	for _, c := range []struct {
		args  []string
		code  int
		saved bool
	}{
		{nil, exitUnverified, false},
		{[]string{"--issuer", "did:web:other.example"}, 1, false},
		{[]string{"--issuer", emulator.PartnerAuthority}, 0, true},
	} {
		file := filepath.Join(t.TempDir(), "manifest.json")
		_, err := runManifest(append(c.args, address, "--insecure-loopback-http", "--save", file)...)
		if exitCode(err) != c.code {
			t.Errorf("%q: exit code %d, want %d: %v", c.args, exitCode(err), c.code, err)
		}
		if _, err := os.Stat(file); (err == nil) != c.saved {
			t.Errorf("%q: saved %v, want %v", c.args, err == nil, c.saved)
		}
	}
}

// The saved file opens a credential. Saving it again changes nothing, unless the manifest names another issuer or type by now: then
// the old one stays, until the operator says otherwise by removing the file.
func TestChangedManifestIsNotSaved(t *testing.T) {
	setSecret(t)
	address := manifestServer(t)
	file := filepath.Join(t.TempDir(), "manifest.json")
	for range 2 {
		if _, err := runManifest(address, "--insecure-loopback-http", "--issuer", emulator.PartnerAuthority, "--save", file); err != nil {
			t.Fatal(err)
		}
	}
	app := func(options string) []byte {
		return adaptText(t, "{\nverified_id {\n"+entraPart+whoPart+"credential identity {\nmanifest "+file+"\nface_check portrait\n"+options+"\n}\n}\n}\n"+sitePart)
	}
	if err := newMachine(t).load(t, app(""), func(ctx caddy.Context) {
		if got := appOf(t, ctx).credentials["identity"].base; got.Type != "VerifiedIdentity" || !slices.Equal(got.AcceptedIssuers, []string{emulator.PartnerAuthority}) {
			t.Errorf("asks for %+v", got)
		}
	}); err != nil {
		t.Fatal(err)
	}
	wantError(t, newMachine(t).load(t, app("type VerifiedEmployee"), nil), nil, "credential identity", "VerifiedIdentity", "VerifiedEmployee")
	wantError(t, newMachine(t).load(t, app("issuer did:web:other.example"), nil), nil, "manifest", emulator.PartnerAuthority, "did:web:other.example")

	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = runManifest(manifestOf(t, "VerifiedEmployee"), "--insecure-loopback-http", "--issuer", emulator.DemoAuthority, "--save", file)
	wantError(t, err, nil, "has CHANGED", "VerifiedIdentity", "VerifiedEmployee", "remove the file")
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed: %v", err)
	}
	_, err = runManifest(address, "--insecure-loopback-http", "--issuer", emulator.PartnerAuthority, "--save", writeFile(t, "Caddyfile", "localhost"))
	wantError(t, err, nil, "is no manifest")

	if err := os.WriteFile(file, []byte(`{"token": "a.b.c"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, newMachine(t).load(t, app(""), nil), nil, "credential identity", "manifest "+file, "refused")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	wantError(t, newMachine(t).load(t, app(""), nil), nil, "manifest "+file, "correct the path")
}
