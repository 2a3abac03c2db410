// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
)

// smallDisk is a file system of a megabyte, which nobody sees but the processes that it starts.
type smallDisk struct {
	t *testing.T
	// at is the folder as those processes see it, root is where the test finds their files.
	at, root string
	keeper   int
}

// newSmallDisk puts a small file system over the folder, in namespaces of its own, which need no rights and which a process keeps. That process
// ends with the test, also with one that is killed, and takes the file system with it.
func newSmallDisk(t *testing.T, at string) *smallDisk {
	t.Helper()
	keeper := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
		`mount -t tmpfs -o size=1m,mode=700 tmpfs "$0" && echo mounted && exec cat >/dev/null`, at)
	stdin, err := keeper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := keeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaint strings.Builder
	keeper.Stderr = &complaint
	if err := keeper.Start(); err != nil {
		t.Fatalf("making a small file system, which needs unshare of util-linux: %v", err)
	}
	said, _ := bufio.NewReader(stdout).ReadString('\n')
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = keeper.Wait()
	})
	if said != "mounted\n" {
		_ = stdin.Close()
		_ = keeper.Wait()
		t.Fatalf("making a small file system, which needs Linux with user namespaces (sysctl kernel.unprivileged_userns_clone=1): %s", complaint.String())
	}
	return &smallDisk{t: t, at: at, root: fmt.Sprintf("/proc/%d/root", keeper.Process.Pid), keeper: keeper.Process.Pid}
}

// start runs the server with the file system in its place.
func (d *smallDisk) start(w *world) {
	d.t.Helper()
	w.caddy = caddyprocess.LaunchBy(d.t, w.home, w.caddyfile,
		"nsenter", fmt.Sprintf("--user=/proc/%d/ns/user", d.keeper), fmt.Sprintf("--mount=/proc/%d/ns/mnt", d.keeper), "--preserve-credentials", caddyprocess.Binary(d.t))
	w.caddy.Wait(d.t, "serving initial configuration")
}

// path is a file on it, for the test.
func (d *smallDisk) path(name string) string { return filepath.Join(d.root, d.at, name) }

// fill writes until nothing more can be written, and returns what frees the space again.
func (d *smallDisk) fill() (free func()) {
	d.t.Helper()
	ballast, err := os.Create(d.path("ballast"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer ballast.Close()
	if _, err := io.CopyN(ballast, zeros{}, 16<<20); !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("filling the disk: %v, want that no space is left", err)
	}
	return func() {
		d.t.Helper()
		if err := os.Remove(ballast.Name()); err != nil {
			d.t.Fatal(err)
		}
	}
}

// revocations counts what is kept on it of logouts: whole files, whose names have a dash, and not those that are being written.
func (d *smallDisk) revocations() int {
	entries, err := os.ReadDir(d.path("caddy/verified_id/revocations"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		d.t.Fatal(err)
	}
	count := 0
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Size() > 0 && strings.Contains(entry.Name(), "-") {
			count++
		}
	}
	return count
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// X15: the disk with Caddy's data and its access log is full. Who is in stays in, newcomers get in, strangers do not. A logout ends
// the session here and says that it may not last; once there is space it is made up for without a restart, and outlives the next.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{
		app:  many,
		site: "log full {\n\toutput file {$XDG_DATA_HOME}/access.log {\n\t\troll_disabled\n\t}\n}\nGATE\nreverse_proxy APP",
	})
	w.caddy.Stop(t)
	disk := newSmallDisk(t, filepath.Join(w.home, "data"))
	disk.start(w)
	member, leaver := w.newClient("127.0.0.1"), w.newClient("127.0.0.1")
	for _, c := range []*client{member, leaver} {
		if err := c.enter(); err != nil {
			t.Fatal(err)
		}
	}
	thief := leaver.copied("127.0.0.1")

	free := disk.fill()
	w.expectClosed(member, w.newClient("127.0.0.1"), w.newClient("127.0.0.1"))
	member.http.Timeout = patience
	if !member.isIn() {
		t.Error("who was in is out")
	}
	if err := w.newClient("127.0.0.1").enter(); err != nil {
		t.Errorf("nobody gets in: %v", err)
	}
	a, err := leaver.logOut()
	if err != nil || a.status != http.StatusServiceUnavailable || !a.clears || strings.Contains(a.page, "You are signed out") {
		t.Errorf("a logout that cannot be kept is answered %d, clears a cookie: %v, %v; want 503 and a cookie less", a.status, a.clears, err)
	}
	if thief.isIn() {
		t.Error("a copy of the session goes on after the logout")
	}
	if got := disk.revocations(); got != 0 {
		t.Errorf("the disk is not full: it keeps %d logouts", got)
	}

	free()
	w.expectRecovery(member)
	for begin := time.Now(); disk.revocations() == 0; {
		if time.Since(begin) > patience {
			t.Fatal("the logout is not made up for")
		}
		<-time.After(10 * time.Millisecond)
	}
	w.caddy.Kill()
	disk.start(w)
	if !member.isIn() {
		t.Error("who was in is out after a restart")
	}
	if thief.isIn() {
		t.Error("the logout is undone by a restart")
	}
}
