// SPDX-License-Identifier: Apache-2.0

package main

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
	"syscall"
	"time"
)

// caddy is a running server with a folder of its own.
type caddy struct {
	home, admin string
	cmd         *exec.Cmd
	log         *os.File
	ended       chan struct{} // closed when the process has ended
}

// startPatience is how long a server may take to start or to stop.
const startPatience = 30 * time.Second

// adminClient talks to admin endpoints, one connection a call, so that it leaves no connection behind to be counted.
var adminClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}

// launchCaddy starts the binary with the Caddyfile and the folder as its home, and does not wait.
func launchCaddy(binary, home, caddyfile string) (*caddy, error) {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(home, "Caddyfile")
	if err := os.WriteFile(config, []byte(caddyfile), 0o600); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(home, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // our own folder
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", freePort())
	c := &caddy{home: home, admin: "http://" + address, log: log, ended: make(chan struct{})}
	c.cmd = exec.Command(binary, "run", "--config", config) //nolint:gosec,noctx // the binary that we built; stop ends it
	c.cmd.Dir = home
	c.cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, "config"),
		"XDG_DATA_HOME="+filepath.Join(home, "data"), "CADDY_ADMIN="+address)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() {
		_ = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

// startCaddy is launchCaddy, and waits until somebody listens at the address.
func startCaddy(ctx context.Context, binary, home, caddyfile, address string) (*caddy, error) {
	c, err := launchCaddy(binary, home, caddyfile)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for !listens(ctx, address) {
		select {
		case <-c.ended:
			return nil, fmt.Errorf("the server ended at once: %s", c.lastWords())
		case <-ctx.Done():
			c.stop()
			return nil, fmt.Errorf("the server does not listen: %s", c.lastWords())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return c, nil
}

// lastWords is the end of the log.
func (c *caddy) lastWords() string {
	text, err := os.ReadFile(c.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// stop asks the server to end, and kills it if it does not. It says how long that took.
func (c *caddy) stop() time.Duration {
	began := time.Now()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(startPatience):
		_ = c.cmd.Process.Kill()
		<-c.ended
	}
	_ = c.log.Close()
	return time.Since(began)
}

// reload makes the server take a Caddyfile, changed or not.
func (c *caddy) reload(ctx context.Context, caddyfile string) (time.Duration, error) {
	began := time.Now()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.admin+"/load", strings.NewReader(caddyfile))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "text/caddyfile")
	r.Header.Set("Cache-Control", "must-revalidate")
	response, err := adminClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
		return 0, fmt.Errorf("reloading: status %d: %s", response.StatusCode, text)
	}
	return time.Since(began), nil
}

// get asks the admin endpoint.
func (c *caddy) get(ctx context.Context, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.admin+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := adminClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// crashes counts what must never stand in a log.
func (c *caddy) crashes() int {
	text, err := os.ReadFile(c.log.Name())
	if err != nil {
		return 0
	}
	n := 0
	for _, bad := range []string{"panic: ", "http: panic serving", "WARNING: DATA RACE", "fatal error: "} {
		n += bytes.Count(text, []byte(bad))
	}
	return n
}
