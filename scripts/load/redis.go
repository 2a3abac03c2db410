// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// redis is a redis-server of this run, which writes down what it is told every second, as in production.
type redis struct {
	dir, address string
	cmd          *exec.Cmd
	ended        chan struct{}
}

// openStore starts what the gate keeps its transactions in.
func (r *run) openStore(ctx context.Context) error {
	switch r.storeName {
	case "memory":
		return nil
	case "redis":
		r.redis = &redis{dir: filepath.Join(r.scratch, "redis"), address: fmt.Sprintf("127.0.0.1:%d", freePort())}
		if err := os.Mkdir(r.redis.dir, 0o700); err != nil {
			return err
		}
		return r.redis.start(ctx)
	}
	return fmt.Errorf("there is no store %q; there are memory and redis", r.storeName)
}

func (r *run) closeStore() {
	if r.redis != nil {
		r.redis.stop()
	}
}

// store is the option that names the store.
func (r *run) store() string {
	if r.redis == nil {
		return ""
	}
	return "store redis {\n\t\t\taddress " + r.redis.address + "\n\t\t}"
}

// withoutStore leads a Caddyfile to a store that does not run.
func (r *run) withoutStore(caddyfile string) string {
	if r.redis == nil {
		return caddyfile
	}
	return strings.ReplaceAll(caddyfile, r.redis.address, fmt.Sprintf("127.0.0.1:%d", freePort()))
}

func (s *redis) start(ctx context.Context) error {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return errors.New("redis-server is missing: apt-get install redis-server (or valkey-server, linked to that name)")
	}
	host, port := splitPort(s.address)
	s.cmd = exec.Command(program, "--bind", host, "--port", port, "--dir", s.dir, "--logfile", filepath.Join(s.dir, "log"), //nolint:gosec,noctx // our own words; stop ends it
		"--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--daemonize", "no")
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		if answer, err := s.ask(ctx, "PING"); err == nil && answer == "+PONG" {
			return nil
		}
		select {
		case <-s.ended:
			return errors.New("redis-server ended at once")
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return errors.New("redis-server does not answer")
		}
	}
}

func (s *redis) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(startPatience):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// ask sends one command and returns the first line of the answer.
func (s *redis) ask(ctx context.Context, command string) (string, error) {
	dialer := net.Dialer{Timeout: time.Second}
	c, err := dialer.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(startPatience)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(c, "%s\r\n", command); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line), err
}

// keys counts what is stored. -1: the store does not say.
func (s *redis) keys(ctx context.Context) int {
	answer, err := s.ask(ctx, "DBSIZE")
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(strings.TrimPrefix(answer, ":"))
	if err != nil {
		return -1
	}
	return n
}

// empty forgets everything, so that one scenario does not count in the limits of the next.
func (s *redis) empty(ctx context.Context) error {
	answer, err := s.ask(ctx, "FLUSHALL")
	if err == nil && answer != "+OK" {
		err = errors.New("emptying the store: " + answer)
	}
	return err
}
