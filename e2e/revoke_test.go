// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
)

// Two servers share a storage. Ana and Ben are in; the operator puts Ana's sessions out with the command, at one of them.
// Within five seconds neither server admits her, or whoever has her cookie, and Ben notices nothing. TM-156.
func TestOperatorPutsSomebodyOutOnAllNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{app: many})
	shared := strings.Replace(w.caddyfile, "default_bind", "storage file_system "+w.home+"/data/caddy\n\tdefault_bind", 1)
	other := caddyprocess.Start(t, t.TempDir(), strings.Replace(shared, "default_bind "+near, "default_bind "+far, 1))

	ana, ben := w.newClient(near), w.newClient(near)
	for _, c := range []*client{ana, ben} {
		if err := c.enter(); err != nil {
			t.Fatal(err)
		}
	}
	thief := ana.copied(far)
	if !thief.isIn() || !ben.copied(far).isIn() {
		t.Fatal("a session is none at the other server")
	}
	session := loggedSession(t, w.caddy.Log.String())
	output, err := exec.CommandContext(t.Context(), caddyprocess.Binary(t), "verified-id", "revoke",
		"--session", session, "--address", strings.TrimPrefix(w.caddy.Admin, "http://")).CombinedOutput()
	if err != nil || !strings.Contains(string(output), "Ended: session "+session) {
		t.Fatalf("revoking: %v\n%s", err, output)
	}
	told := time.Now()
	if ana.isIn() {
		t.Error("the server that was told still admits her")
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for thief.isIn() {
		if time.Since(told) > 5*time.Second {
			t.Fatal("after 5 seconds the other server still admits her")
		}
		<-tick.C
	}
	t.Logf("the other server followed after %s", time.Since(told))
	if !ben.isIn() || !ben.copied(far).isIn() {
		t.Error("Ben was put out with her")
	}
	if !w.caddy.Log.Contains("session_revoked") || other.Log.Contains("session_revoked") {
		t.Error("the log of the server that was told does not say so, or the other's does")
	}
	if _, err := exec.CommandContext(t.Context(), caddyprocess.Binary(t), "verified-id", "revoke",
		"--credential", "nobody", "--address", strings.TrimPrefix(w.caddy.Admin, "http://")).CombinedOutput(); err == nil {
		t.Error("revoking what is not there exits with success")
	}
}

// loggedSession is the ID in the first line that tells the start of a session.
func loggedSession(t *testing.T, log string) string {
	t.Helper()
	_, after, found := strings.Cut(log, `"msg":"session_started"`)
	if found {
		_, after, found = strings.Cut(after, `"session_id":"`)
	}
	id, _, ended := strings.Cut(after, `"`)
	if !found || !ended {
		t.Fatal("the log names no session")
	}
	return id
}
