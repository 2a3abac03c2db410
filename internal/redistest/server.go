// SPDX-License-Identifier: Apache-2.0

//go:build unix

// Package redistest runs real redis-servers for tests: alone or as a cluster, on free loopback ports, with the faults that a server in the
// field has. A test that needs one and finds no redis-server fails and says how to get it; it is never skipped.
//
//	server := redistest.Start(t)
//	client := redis.NewClient(&redis.Options{Addr: server.Addr})
//	server.Freeze(); defer server.Thaw()
package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// patience is how long a server may take to start, to end, or to answer a command of a test.
	patience = 20 * time.Second

	// attempts are made at a port, because another process can take a free one before the server does.
	attempts = 5
)

// Server is a redis-server of one test. Its methods are for the test's own goroutine.
type Server struct {
	// Addr is where it listens, host:port. It stays the same over restarts.
	Addr string

	// Dir is the server's folder, with its log and, after a SAVE, its dump.rdb.
	Dir string

	t      testing.TB
	config []string // its path, if it has one
	args   []string
	auth   []string
	client *redis.Client

	mu      sync.Mutex
	process *exec.Cmd
	ended   chan struct{}
}

// Start runs a server for the rest of the test. Without arguments it keeps everything in memory only; arguments are options of its
// command line, for example "--maxmemory", "4mb".
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, "", args)
}

// start runs a server with a configuration, which it may rewrite.
func start(t testing.TB, config string, args []string) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "redistest") //nolint:usetesting // the path of a socket in it must be short
	if err != nil {
		t.Fatalf("making the server's folder: %v", err)
	}
	s := &Server{t: t, Dir: dir, args: args}
	if config != "" {
		path := filepath.Join(dir, "redis.conf")
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			t.Fatalf("writing the server's configuration: %v", err)
		}
		s.config = []string{path}
	}
	t.Cleanup(func() {
		s.Stop()
		if s.client != nil {
			_ = s.client.Close()
		}
		if t.Failed() {
			if log, err := os.ReadFile(filepath.Join(dir, "log")); err == nil { //nolint:gosec // our own folder
				t.Logf("log of redis-server %s:\n%s", s.Addr, log)
			}
		}
		_ = os.RemoveAll(dir)
	})
	for range attempts {
		s.Addr = freeAddress(t)
		if s.start() {
			s.client = redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, DisableIdentity: true, ContextTimeoutEnabled: true, Protocol: 2})
			return s
		}
	}
	t.Fatalf("redis-server did not start at any of %d ports", attempts)
	return nil
}

// Stop kills the server at once, as a crash does: what it has not saved is lost. Stopping twice is no error.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill()
	<-s.ended
	s.process = nil
}

// Restart starts the server again at the same address, after a Stop or instead of the one that runs. Without persistence among its
// arguments it comes back empty.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	for range attempts {
		if s.start() {
			return
		}
	}
	s.t.Fatalf("redis-server did not start again at %s", s.Addr)
}

// Freeze stops the process without ending it: connections stay and are made, nothing is answered. Thaw lets it go on.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw ends a Freeze. What was sent meanwhile is answered now.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

// Do runs a command as an operator with redis-cli does, and returns the answer. It authenticates by itself once [Server.Auth] said how.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	answer, err := s.Try(args...)
	if err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return answer
}

// Try is Do for a command that may fail.
func (s *Server) Try(args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if s.auth == nil {
		return s.client.Do(ctx, args...).Result()
	}
	connection := s.client.Conn()
	defer func() { _ = connection.Close() }()
	login := []any{"AUTH"}
	for _, word := range s.auth {
		login = append(login, word)
	}
	if err := connection.Do(ctx, login...).Err(); err != nil {
		return nil, err
	}
	return connection.Do(ctx, args...).Result()
}

// Auth tells Do what to log in with: a password, or a name and a password. Nothing means without.
func (s *Server) Auth(words ...string) { s.auth = words }

// Keys are the names of all keys.
func (s *Server) Keys() []string {
	s.t.Helper()
	answer, _ := s.Do("KEYS", "*").([]any)
	keys := make([]string, 0, len(answer))
	for _, key := range answer {
		keys = append(keys, fmt.Sprint(key))
	}
	return keys
}

// start runs the process and waits until it answers. It reports false if the process ended instead.
func (s *Server) start() bool {
	s.t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatal("redis-server is missing: apt-get install redis-server (or valkey-server, linked to that name)")
	}
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		s.t.Fatalf("address %q: %v", s.Addr, err)
	}
	args := append(slices.Clone(s.config), append([]string{
		"--bind", host, "--port", port, "--dir", s.Dir, "--logfile", filepath.Join(s.Dir, "log"),
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--repl-diskless-sync-delay", "0",
	}, s.args...)...)
	process := exec.Command(program, args...) //nolint:gosec,noctx // redis-server; Stop ends it, after the test's context
	if err := process.Start(); err != nil {
		s.t.Fatalf("starting redis-server: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = process.Wait()
		close(ended)
	}()
	s.mu.Lock()
	s.process, s.ended = process, ended
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, DisableIdentity: true, Protocol: 2, DialerRetries: 1})
	defer func() { _ = client.Close() }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		// An error of the server itself, such as NOAUTH, is an answer too.
		err := client.Ping(ctx).Err()
		if err == nil || redis.HasErrorPrefix(err, "NOAUTH") {
			return true
		}
		select {
		case <-tick.C:
		case <-ended:
			return false
		case <-ctx.Done():
			s.t.Fatalf("redis-server at %s does not answer: %v", s.Addr, err)
		}
	}
}

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		s.t.Fatalf("%v to a redis-server that does not run", signal)
	}
	if err := s.process.Process.Signal(signal); err != nil {
		s.t.Fatalf("%v: %v", signal, err)
	}
}

// freeAddress is a loopback address that nobody listens at now. Its port leaves room for the cluster bus, which is 10,000 higher.
func freeAddress(t testing.TB) string {
	t.Helper()
	for {
		listener, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // it is closed at once
		if err != nil {
			t.Fatalf("looking for a free port: %v", err)
		}
		address := listener.Addr().(*net.TCPAddr) //nolint:forcetypeassert // of a TCP listener
		_ = listener.Close()
		if address.Port < 55_000 {
			return strings.Clone(address.String())
		}
	}
}
