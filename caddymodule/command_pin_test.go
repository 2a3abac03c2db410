// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/pem"
	"io"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
)

func runPin(args ...string) (string, error) {
	var out bytes.Buffer
	cmd := pinCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	err := cmd.Execute()
	return out.String(), err
}

// The issuer has moved to another DID, and has told the operator so. The command accepts it, if it is the one that was told, and a running node
// hears of it: cards by the new issuer open the app, those by the old one no longer. Nothing else replaces what is pinned.
func TestChangeIsAcceptedByCommandOnly(t *testing.T) {
	setSecret(t)
	p, moved := newPublisher(t), newPublisher(t)
	ca := writeFile(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})))
	storage := storageDir(t)
	text := "{\nstorage file_system " + storage + "\n" + strings.Replace(learningApp(p.URL+"/manifest", ""), "verified_id {", "verified_id {\ninsecure_loopback_http\ntrusted_ca "+ca, 1) + "\n}\n" + sitePart
	config := writeFile(t, "Caddyfile", text)
	pin := func(args ...string) (string, error) {
		return runPin(append(args, "--config", config, "--adapter", "caddyfile")...)
	}

	claims := writeFile(t, "claims.json", `{"credential": "employee", "face_score": 92, "verified": "1m"}`)
	learnt := func() (checked, request string) {
		t.Helper()
		content := adaptText(t, text)
		var outcome, body bytes.Buffer
		if _, err := check(&outcome, content, &checkQuestion{site: testOrigin, path: "/", method: "GET", client: "203.0.113.7", claims: claims}); err != nil {
			t.Error(err)
		}
		if err := printRequests(&body, content, "employee"); err != nil {
			return outcome.String(), err.Error()
		}
		return outcome.String(), body.String()
	}

	if checked, request := learnt(); !strings.Contains(checked, "NOTE: credential employee: type and issuer are not known here") ||
		!strings.Contains(checked, "outcome: refuse") || !strings.Contains(request, "not known here") {
		t.Errorf("before Caddy has run, check prints\n%s\nand request\n%s", checked, request)
	}
	out, err := pin()
	if err == nil || !strings.Contains(err.Error(), "no such keys") {
		t.Errorf("before Caddy has run: %v, printed %s", err, out)
	}
	n := learningNode(t, p, "", nil)
	shared := &certmagic.FileStorage{Path: storage}
	if err := saveStored(t.Context(), shared, storedKeysPath, storedKeysOf(t, n.app.ctx)); err != nil {
		t.Fatal(err)
	}
	n.pin().storage = shared
	if out, err := pin("employee"); exitCode(err) != exitNotPinned || !strings.Contains(out, "NOT PINNED") {
		t.Errorf("nothing is pinned: exit code %d, %v, printed\n%s", exitCode(err), err, out)
	}
	if err := n.check(t); err != nil {
		t.Fatal(err)
	}
	if out, err := pin(); err != nil || !strings.Contains(out, "issuer     "+p.did+"\n") {
		t.Errorf("printed\n%s%v", out, err)
	}
	if checked, request := learnt(); strings.Contains(checked, "NOTE") || !strings.Contains(checked, "outcome: pass") || !strings.Contains(request, p.did) {
		t.Errorf("afterwards, check prints\n%s\nand request\n%s", checked, request)
	}

	p.set(func(p *publisher) { p.issuer, p.signer = moved.did, moved.key })
	setNow(clockNow().Add(checkManifest))
	if err := n.check(t); err != nil {
		t.Fatal(err)
	}
	setNow(testNow)
	if out, err := pin("employee"); exitCode(err) != exitNotPinned || !strings.Contains(out, "CHANGED") || !strings.Contains(out, "--accept "+moved.did) {
		t.Errorf("after the change: exit code %d, printed\n%s", exitCode(err), out)
	}
	_, err = pin("employee", "--accept", p.did)
	wantError(t, err, nil, "is by "+moved.did, "nothing is changed")
	_, err = pin("--accept", p.did)
	wantError(t, err, nil, "name the credential")
	_, err = pin("other")
	wantError(t, err, nil, `"other"`, "employee")
	if err := n.pin().look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := n.starts(t); ok || !n.admits(t, n.member(p.did)) {
		t.Error("a refused command has changed something")
	}

	if out, err := pin("employee", "--accept", moved.did); err != nil || !strings.Contains(out, "issuer     "+moved.did+"\n") {
		t.Fatalf("accepting: %v, printed\n%s", err, out)
	}
	if err := n.pin().look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := n.starts(t); !ok || !n.admits(t, n.member(moved.did)) || n.admits(t, n.member(p.did)) {
		t.Error("the running node has not heard of it")
	}
}

// storedKeysOf are the keys that a node has made.
func storedKeysOf(t *testing.T, ctx caddy.Context) (out map[string]any) {
	t.Helper()
	if found, err := loadStored(ctx, ctx.Storage(), storedKeysPath, &out); err != nil || !found {
		t.Fatalf("the node has no keys: %v", err)
	}
	return out
}
