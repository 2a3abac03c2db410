// SPDX-License-Identifier: Apache-2.0

package caddyprocess

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Process is a running server with a home of its own.
type Process struct {
	// Log is what the server has written so far.
	Log *Log
	// Admin is the origin of its admin endpoint.
	Admin string

	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended; result is set by then
	// result is what the process ended with.
	result error
	killed atomic.Bool // by the test
}

// patience bounds every wait for a server. It takes milliseconds; a minute is what a busy machine with two cores and the race
// detector may make of it.
const patience = time.Minute

// adminClient talks to the admin endpoint, one connection a call.
var adminClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

// Start runs the binary with the Caddyfile, an admin port of its own, and the folder as its home. It returns when all
// listeners are open; at the end of the test the server must stop when asked, in order and without a race report.
func Start(t *testing.T, home, caddyfile string) *Process {
	t.Helper()
	c := Launch(t, home, caddyfile)
	c.Wait(t, "serving initial configuration")
	return c
}

// Launch is Start without the waiting.
func Launch(t *testing.T, home, caddyfile string) *Process {
	t.Helper()
	return LaunchBy(t, home, caddyfile, Binary(t))
}

// LaunchBy is Launch by a command whose last word is the binary: a shell that sets limits before it becomes the server, say.
func LaunchBy(t *testing.T, home, caddyfile string, command ...string) *Process {
	t.Helper()
	config := filepath.Join(home, "Caddyfile")
	address := fmt.Sprintf("127.0.0.1:%d", FreePort(t))
	c := &Process{Log: NewLog(), Admin: "http://" + address, ended: make(chan struct{})}
	if err := os.WriteFile(config, []byte(caddyfile), 0o600); err != nil {
		t.Fatalf("writing the Caddyfile: %v", err)
	}

	// The test's own context ends before its cleanup, which is where the server is asked to stop.
	c.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), command[0], append(command[1:], "run", "--config", config)...) //nolint:gosec // the test's own words
	c.cmd.Dir = home
	c.cmd.Env = append(os.Environ(),
		"HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, "config"), "XDG_DATA_HOME="+filepath.Join(home, "data"),
		"CADDY_ADMIN="+address, "GORACE=halt_on_error=0 exitcode=66",
	)
	c.cmd.Stdout, c.cmd.Stderr = c.Log, c.Log
	if err := c.cmd.Start(); err != nil {
		t.Fatalf("starting Caddy: %v", err)
	}
	go func() {
		c.result = c.cmd.Wait()
		close(c.ended)
	}()
	t.Cleanup(func() {
		c.Stop(t)
		if t.Failed() {
			t.Logf("Caddyfile:\n%s\nCaddy's log:\n%s", caddyfile, c.Log)
		}
	})
	return c
}

// Wait returns when the server has logged the text.
func (c *Process) Wait(t *testing.T, text string) {
	t.Helper()
	ready, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("not in time"))
	defer cancel()
	ready, abort := context.WithCancelCause(ready)
	defer abort(nil)
	go func() {
		select {
		case <-c.ended:
			abort(fmt.Errorf("ended: %w", c.result))
		case <-ready.Done():
		}
	}()
	if err := c.Log.Wait(ready, text); err != nil {
		t.Fatalf("waiting for Caddy to say %q: %v", text, err)
	}
}

// PID is the server's number in the system.
func (c *Process) PID() int { return c.cmd.Process.Pid }

// Kill ends the server as kill -9 does, wherever it is.
func (c *Process) Kill() {
	c.killed.Store(true)
	_ = c.cmd.Process.Kill()
	<-c.ended
}

// Terminate asks the server to end as the system does, and returns when it has ended or patience is over.
func (c *Process) Terminate(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("terminating Caddy: %v", err)
	}
	select {
	case <-c.ended:
	case <-time.After(patience):
	}
}

// Stop asks the server to end and judges how it did. A server that does not end is made to tell where it hangs.
func (c *Process) Stop(t *testing.T) {
	t.Helper()
	select {
	case <-c.ended:
	default:
		if _, err := c.Call(http.MethodPost, "/stop", "", ""); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
		select {
		case <-c.ended:
		case <-time.After(patience):
			t.Error("Caddy does not stop")
			_ = c.cmd.Process.Signal(syscall.SIGABRT)
			select {
			case <-c.ended:
			case <-time.After(patience):
				_ = c.cmd.Process.Kill()
				<-c.ended
			}
		}
	}
	if c.result != nil && !c.killed.Load() {
		t.Errorf("Caddy ended with %v", c.result)
	}
	for _, bad := range []string{"WARNING: DATA RACE", "panic: ", "http: panic serving"} {
		if c.Log.Contains(bad) {
			t.Errorf("Caddy's log says %q", bad)
		}
	}
}

// Reload makes the server take another Caddyfile and returns when it has.
func (c *Process) Reload(t *testing.T, caddyfile string) {
	t.Helper()
	if answer, err := c.Call(http.MethodPost, "/load", "text/caddyfile", caddyfile); err != nil {
		t.Fatalf("reloading: %v\n%s", err, answer)
	}
}

// Call sends one request to the admin endpoint and returns the body of its answer.
func (c *Process) Call(method, path, contentType, body string) (string, error) {
	// Cleanup outlives the test's own context.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.Admin+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if method != http.MethodGet {
		r.Header.Set("Cache-Control", "must-revalidate") // load it even if nothing changed
	}
	response, err := adminClient.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer bytes.Buffer
	if _, err := io.Copy(&answer, response.Body); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return answer.String(), fmt.Errorf("%s %s answered %s", method, path, response.Status)
	}
	return answer.String(), nil
}
