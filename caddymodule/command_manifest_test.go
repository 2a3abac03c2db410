// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
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

// The command prints what belongs into the Caddyfile, and says plainly that nobody but the host vouches for it.
func TestManifestCommandPrintsTheLines(t *testing.T) {
	address := manifestServer(t)
	out, err := runManifest(address, "--insecure-loopback-http")
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
		if out, err := runManifest(args...); err == nil {
			t.Errorf("%q: no error, printed %s", args, out)
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
		if _, err := runManifest(address, "--insecure-loopback-http", "--save", file); err != nil {
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
	_, err = runManifest(manifestOf(t, "VerifiedEmployee"), "--insecure-loopback-http", "--save", file)
	wantError(t, err, nil, "has CHANGED", "VerifiedIdentity", "VerifiedEmployee", "remove the file")
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed: %v", err)
	}
	_, err = runManifest(address, "--insecure-loopback-http", "--save", writeFile(t, "Caddyfile", "localhost"))
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
