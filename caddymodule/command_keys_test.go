// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/spf13/cobra"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// commandMachine is a machine with a Caddyfile that names a storage of its own, in which Caddy may have made keys.
type commandMachine struct {
	config  string
	storage *certmagic.FileStorage
}

func newCommandMachine(t *testing.T, options string) commandMachine {
	t.Helper()
	m := commandMachine{storage: &certmagic.FileStorage{Path: storageDir(t)}}
	m.config = writeFile(t, "Caddyfile", `{
	storage file_system `+m.storage.Path+`
	verified_id {
		entra contoso.example {
			client_id app
			client_secret {env.NOT_SET_FOR_COMMANDS}
		}
		`+whoPart+`
		credential employee {
			type VerifiedEmployee
			issuer `+testIssuer+`
			idv au10tix
		}
		credential guest {
			type VerifiedGuest
			issuer `+testIssuer+`
		}
		idv au10tix {
			url https://idv.example/start?jwt={token}
			org_id contoso
			audience https://idv.example
		}
		`+options+`
	}
}
payroll.contoso.example {
	verified_id /pay/* employee {
		face_check 90
		require department Payroll
		bind mail {http.auth.user.id}
	}
	verified_id employee
	respond "the app"
}
`)
	return m
}

// keep makes a first key, as Caddy does at its first use.
func (m commandMachine) keep(t *testing.T, path string, generate func() (*idvredirect.SigningKey, error)) {
	t.Helper()
	keys := signingKeys{storage: m.storage, path: path, generate: generate}
	if _, err := keys.at(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
}

func (m commandMachine) run(cmd *cobra.Command, args ...string) (out, notes string, err error) {
	var stdout, stderr bytes.Buffer
	cmd.SetArgs(append(args, "--config", m.config, "--adapter", "caddyfile"))
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	err = cmd.Execute()
	return stdout.String(), stderr.String(), err
}

// What is printed is what is sent: of each gate that asks for the credential, and with names in place of secrets.
func TestRequestCommandPrintsWhatWouldBeSent(t *testing.T) {
	m := newCommandMachine(t, "")
	out, _, err := m.run(requestCommand(), "employee")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"url": "https://payroll.contoso.example/.verified-id/callback"`, `"state": "<random, new in each request>"`,
		`"Authorization": "Bearer <callback key, new in each request>"`, `"matchConfidenceThreshold": 70`,
		`"matchConfidenceThreshold": 90`, `"<what bind finds>"`, `"Payroll"`, `"clientName": "Contoso Payroll"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("want %s in\n%s", want, out)
		}
	}
	if n := strings.Count(out, `"authority"`); n != 2 {
		t.Errorf("%d requests, want one of each gate", n)
	}
	for name, want := range map[string]string{"boss": "the config has employee, guest", "guest": "no gate of the config asks"} {
		if _, _, err := m.run(requestCommand(), name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
}

// The test link is one that the partner takes with the published keys, is told from a visitor's, and does not live long.
func TestKickstartCommandMakesALinkThePartnerTakes(t *testing.T) {
	m := newCommandMachine(t, "")
	m.keep(t, storedKickstartPath, generateKickstartKey)
	out, notes, err := m.run(kickstartCommand(), "au10tix")
	if err != nil {
		t.Fatal(err)
	}
	link, err := url.Parse(strings.TrimSpace(out))
	if err != nil || link.Host != "idv.example" {
		t.Fatalf("printed %q", out)
	}
	published, _, err := m.run(keysCommand(), "export")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := idvredirect.ParseJWKS([]byte(published))
	if err != nil {
		t.Fatalf("keys export: %v in %s", err, published)
	}
	claims, err := idvredirect.Verify(t.Context(), link.Query().Get("jwt"), idvredirect.VerifyConfig{
		Keys: keys, Issuer: "https://payroll.contoso.example", Audience: "https://idv.example", Claims: idvredirect.Hardened,
		OrgIDs: []string{"contoso"}, RedirectURLs: []string{"https://payroll.contoso.example/.verified-id/return"}, OneTime: idvredirect.NewMemoryOneTimeStore(1, time.Now),
	})
	if err != nil {
		t.Fatalf("the partner refuses: %v", err)
	}
	if !strings.HasPrefix(claims.RequestID, "test-") || !strings.Contains(notes, claims.RequestID) {
		t.Errorf("RequestId %q, told %q", claims.RequestID, notes)
	}
	if left := time.Until(claims.Expires); left > testKickstartLifetime {
		t.Errorf("it lives %s", left)
	}
	for _, args := range [][]string{{"clear"}, {"au10tix", "--site", "https://other.example"}} {
		if _, _, err := m.run(kickstartCommand(), args...); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

// A command that makes the first key makes it where nobody will ever find it: as root, in root's storage. It says so instead.
func TestCommandsMakeNoFirstKey(t *testing.T) {
	m := newCommandMachine(t, "")
	for _, args := range [][]string{{"list"}, {"export"}, {"rotate"}, {"rotate", "--kind", "assertion"}, {"list", "--kind", "sealing"}, {"rotate", "--kind", "sealing", "--end-sessions"}} {
		if out, _, err := m.run(keysCommand(), args...); err == nil || !strings.Contains(err.Error(), m.storage.Path) || !strings.Contains(err.Error(), "the user that Caddy runs as") {
			t.Errorf("keys %q: error %v, printed %q", args, err, out)
		}
	}
	if _, _, err := m.run(kickstartCommand(), "au10tix"); err == nil {
		t.Error("kickstart signs with a key that nobody knows")
	}
	if m.storage.Exists(t.Context(), storedKickstartPath) || m.storage.Exists(t.Context(), storedKeysPath) {
		t.Error("a key was made")
	}
}

// Rotation by hand is the rotation of the schedule: the new key is published at once and signs later, and running Caddys
// take it over from the storage. TM-093.
func TestKeysRotateAsTheScheduleWould(t *testing.T) {
	m := newCommandMachine(t, "")
	m.keep(t, storedAssertionPath, idvredirect.GenerateAssertionKey)
	running := signingKeys{storage: m.storage, path: storedAssertionPath, generate: idvredirect.GenerateAssertionKey}
	before, err := running.at(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	old := before.Signing(time.Now()).KeyID()
	out, _, err := m.run(keysCommand(), "rotate", "--kind", "assertion")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 2 || !strings.Contains(lines[0], old+"\tsigns") || !strings.Contains(lines[1], "\tnext\t") {
		t.Errorf("printed\n%s", out)
	}
	after, err := running.at(t.Context(), time.Now().Add(rereadKeys))
	if err != nil {
		t.Fatal(err)
	}
	if after.Signing(time.Now()).KeyID() != old || after.Signing(time.Now().Add(2*time.Hour)).KeyID() == old {
		t.Error("the new key signs at once, or never")
	}
	if _, _, err := m.run(keysCommand(), "rotate", "--kind", "assertion"); err == nil || !strings.Contains(err.Error(), "rotate again when it signs") {
		t.Errorf("a second rotation: %v", err)
	}
	text, _, err := m.run(keysCommand(), "export", "--kind", "assertion", "--format", "pem")
	if err != nil {
		t.Fatal(err)
	}
	first, rest := pem.Decode([]byte(text))
	second, _ := pem.Decode(rest)
	if first == nil || second == nil || first.Type != "PUBLIC KEY" || strings.Contains(text, "PRIVATE") {
		t.Errorf("exported\n%s", text)
	}
}

func TestKeysFromTheConfigAreNotRotated(t *testing.T) {
	m := newCommandMachine(t, "kickstart_key "+writeFile(t, "key.pem", string(signingKeyPEM(t))))
	if out, _, err := m.run(keysCommand(), "list"); err != nil || !strings.Contains(out, "\tsigns\t") {
		t.Errorf("list: %q, %v", out, err)
	}
	_, _, err := m.run(keysCommand(), "rotate")
	wantError(t, err, nil, "come from the config")
	for _, args := range [][]string{{"export", "--format", "der"}, {"list", "--kind", "other"}, {"sign"}} {
		if _, _, err := m.run(keysCommand(), args...); err == nil {
			t.Errorf("keys %q: no error", args)
		}
	}
}

// The sealing keys as the schedule has them: the next one seals a day later, and nobody is signed out. TM-151.
func TestKeysRotateSealing(t *testing.T) {
	m := newCommandMachine(t, "")
	node := newSealingNode(t, m.storage, time.Now(), 0)
	sealed := node.sealer.Seal([]byte("plain"), "ad")
	first := node.sealing(time.Now())
	out, _, err := m.run(keysCommand(), "list", "--kind", "sealing")
	if err != nil || !strings.HasPrefix(out, first+"\tseals\tmade ") || !strings.Contains(out, "(0 days ago)") || !strings.Contains(out, "leaves never") {
		t.Errorf("list: %q, %v", out, err)
	}
	out, _, err = m.run(keysCommand(), "rotate", "--kind", "sealing")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); err != nil || len(lines) != 2 || !strings.HasPrefix(lines[0], first+"\tseals\t") || !strings.Contains(lines[1], "\tnext\t") {
		t.Errorf("rotate: %v, printed\n%s", err, out)
	}
	if _, _, err := m.run(keysCommand(), "rotate", "--kind", "sealing"); !errors.Is(err, errSealingWaits) {
		t.Errorf("a second rotation: %v", err)
	}
	node.look(t, time.Now())
	node.look(t, time.Now().Add(announceSealing))
	if node.sealing(time.Now().Add(announceSealing)) == first || !node.opens(sealed) {
		t.Error("the new key does not seal after a day, or the old one does not open")
	}
	for _, text := range []string{out, fmt.Sprint(node.logged.All())} {
		for _, key := range node.known.Sealing {
			if strings.Contains(text, base64.StdEncoding.EncodeToString(key)) {
				t.Errorf("a key is shown in %q", text)
			}
		}
	}
}

// A key has leaked: whoever has it makes sessions at home. One command, and half a minute later it opens nothing on any node, a
// session of the rightful as little as one of the thief, which the command says. TM-151, TM-024.
func TestKeysRotateSealingAtOnce(t *testing.T) {
	m := newCommandMachine(t, "")
	node := newSealingNode(t, m.storage, time.Now(), 0)
	if _, _, err := m.run(keysCommand(), "rotate", "--kind", "sealing"); err != nil { // one that waits is replaced as well
		t.Fatal(err)
	}
	sealed := node.sealer.Seal([]byte("plain"), "ad")
	out, _, err := m.run(keysCommand(), "rotate", "--kind", "sealing", "--end-sessions")
	if err != nil || strings.Count(out, "\tseals\t") != 1 || strings.Count(out, "leaves") != 1 || !strings.Contains(out, "all sessions end") {
		t.Errorf("%v, printed\n%s", err, out)
	}
	node.look(t, time.Now())
	if node.opens(sealed) || len(node.known.Sealing) != 1 {
		t.Error("the leaked key still opens")
	}
	for _, args := range [][]string{{"rotate", "--end-sessions"}, {"export", "--kind", "sealing"}} {
		if out, _, err := m.run(keysCommand(), args...); err == nil {
			t.Errorf("keys %q: no error, printed %q", args, out)
		}
	}
}

// Keys in the config are named and not touched.
func TestSealingKeysFromTheConfigAreNotRotated(t *testing.T) {
	key := randomBytes(32)
	t.Setenv("SEAL_FOR_COMMANDS", base64.StdEncoding.EncodeToString(key))
	for _, value := range []string{"{env.SEAL_FOR_COMMANDS}", base64.StdEncoding.EncodeToString(key)} {
		m := newCommandMachine(t, "sealing_key "+value)
		if out, _, err := m.run(keysCommand(), "list", "--kind", "sealing"); err != nil || out != session.KeyID(key)+"\tseals\tfrom the config\n" {
			t.Errorf("list: %q, %v", out, err)
		}
		for _, args := range [][]string{{"rotate", "--kind", "sealing"}, {"rotate", "--kind", "sealing", "--end-sessions"}} {
			_, _, err := m.run(keysCommand(), args...)
			wantError(t, err, nil, "come from the config")
		}
	}
}
