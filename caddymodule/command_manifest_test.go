// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// manifestServer serves the emulator's manifests on this machine, and returns where one of them is.
func manifestServer(t *testing.T) (address string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	origin := "http://" + server.Listener.Addr().String()
	e, err := emulator.New(emulator.Config{PublicURL: origin, TokenURL: "https://login.invalid"})
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
	c, err := e.Contract("VerifiedIdentity")
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
