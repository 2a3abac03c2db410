// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore_test

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/caddymodule"
	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
	"github.com/caddy-verified-id/caddy-verified-id/redisstore"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
	"github.com/caddy-verified-id/caddy-verified-id/verifier/verifiertest"
)

// openModule opens the store of these options, as an app does.
func openModule(t testing.TB, options string) verifier.Store {
	t.Helper()
	store, err := provision(t, options).OpenStore(caddymodule.StoreConfig{
		Pending: 100, PendingPerClient: 10, Sealer: sealer(t, "a key"), NameKey: nameKey, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatalf("opening %s: %v", options, err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// contractOf runs the contract over stores with the options of a module; each has names of its own, all under verified-id.
func contractOf(t *testing.T, options string) {
	t.Helper()
	verifiertest.TestStore(t, func(t *testing.T, now func() time.Time, maxPending, maxPerClient int) verifier.Store {
		client, err := provision(t, options).Connect()
		if err != nil {
			t.Fatal(err)
		}
		store, err := redisstore.New(redisstore.Config{
			Client: client, Prefix: fmt.Sprintf("verified-id:contract-%d", contracts.Add(1)), NameKey: nameKey, Sealer: sealer(t, "a key"),
			MaxPending: maxPending, MaxPendingPerClient: maxPerClient, Now: now,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		return store
	})
}

// accessList is the line that the documentation gives, with a password, as words of a command.
func accessList(t *testing.T, marker, password string) []any {
	t.Helper()
	doc, err := os.ReadFile("../docs/caddyfile.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^` + marker + `.*$`).Find(doc)
	if line == nil {
		t.Fatalf("docs/caddyfile.md has no line that begins with %s", marker)
	}
	var words []any
	for word := range strings.FieldsSeq(strings.ReplaceAll(string(line), "PASSWORD", password)) {
		words = append(words, word)
	}
	return words
}

// restrict gives a server the documented user, and takes everything from everybody else but the test.
func restrict(t *testing.T, server *redistest.Server) {
	t.Helper()
	server.Do(accessList(t, "ACL SETUSER", "the-password")...)
	server.Do("ACL", "SETUSER", "test", "on", ">test", "~*", "&*", "+@all")
	server.Auth("test", "test")
	server.Do("ACL", "SETUSER", "default", "off")
}

// refusals are what a server did not permit.
func refusals(server *redistest.Server) []any {
	denied, _ := server.Do("ACL", "LOG").([]any)
	return denied
}

const restricted = "\nusername verified-id\npassword the-password"

// The user that the documentation sets up may do what the store does, and nothing of it is refused. TM-134.
func TestStoreWithDocumentedAccessList(t *testing.T) {
	server := redistest.Start(t)
	restrict(t, server)
	contractOf(t, "address "+server.Addr+restricted)
	if denied := refusals(server); len(denied) > 0 {
		t.Errorf("the server refused %v", denied)
	}
	for _, forbidden := range [][]any{{"KEYS", "*"}, {"FLUSHALL"}, {"CONFIG", "GET", "*"}, {"GET", "other:key"}, {"EVAL", "return redis.call('GET', 'other:key')", 0}, {"MONITOR"}, {"SUBSCRIBE", "other"}} {
		server.Auth("verified-id", "the-password")
		if answer, err := server.Try(forbidden...); err == nil {
			t.Errorf("the documented user may %v: %v", forbidden, answer)
		}
	}
	server.Auth("test", "test")
}

// The same for a cluster, over which the store has to find its way. TM-134.
func TestClusterWithDocumentedAccessList(t *testing.T) {
	servers := redistest.StartCluster(t, 3)
	var addresses []string
	for _, server := range servers {
		restrict(t, server)
		server.Do(accessList(t, `ACL SETUSER verified-id \+cluster`, "the-password")...)
		addresses = append(addresses, server.Addr)
	}
	contractOf(t, "address "+strings.Join(addresses, " ")+"\ncluster"+restricted)
	for _, server := range servers {
		if denied := refusals(server); len(denied) > 0 {
			t.Errorf("the server refused %v", denied)
		}
	}
}

// Another database is one more command.
func TestDatabaseWithDocumentedAccessList(t *testing.T) {
	server := redistest.Start(t)
	restrict(t, server)
	server.Do(accessList(t, `ACL SETUSER verified-id \+select`, "the-password")...)
	store := openModule(t, "address "+server.Addr+restricted+"\ndatabase 3")
	create(t, store, requested("a"))
	if info, _ := server.Do("INFO", "keyspace").(string); !strings.Contains(info, "db3:") || strings.Contains(info, "db0:") {
		t.Errorf("the entries are not in database 3 alone: %s", info)
	}
	if denied := refusals(server); len(denied) > 0 {
		t.Errorf("the server refused %v", denied)
	}
}

// The master dies. Until the sentinel has named another one, calls say that the store is not there; then everything that was
// replicated goes on. TM-129, TM-130.
func TestSentinelNamesAnotherMaster(t *testing.T) {
	master, _, sentinel := redistest.StartSentinel(t)
	store := openModule(t, "address "+sentinel.Addr+"\nsentinel "+redistest.MasterName)
	create(t, store, requested("before"))
	if got := master.Do("WAIT", 1, 5000); got != int64(1) {
		t.Fatalf("%v replicas have heard, want 1", got)
	}
	master.Stop()
	if _, err := store.Get(t.Context(), "before"); err != nil {
		wantError(t, "Get while there is no master", err, verifier.ErrStoreUnavailable)
	}
	stopped := time.Now()
	eventually(t, 2*patience, "an update at the new master", func() error {
		_, err := store.Update(t.Context(), "before", retrieve)
		return err
	})
	t.Logf("at work again after %s", time.Since(stopped))
}

// A local server is reached over its socket.
func TestStoreOverSocket(t *testing.T) {
	path := writeFile(t, "none", "")
	socket := strings.TrimSuffix(path, "none") + "s"
	if len(socket) > 100 {
		socket = fmt.Sprintf("/tmp/redisstore-%d.sock", os.Getpid())
	}
	redistest.Start(t, "--unixsocket", socket)
	store := openModule(t, "address unix/"+socket)
	create(t, store, requested("a"))
}

// Loading a config in an outage works and asks nobody, whoever is configured. TM-139.
func TestOpeningConnectsToNobody(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan struct{}, 1)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_ = connection.Close()
			accepted <- struct{}{}
		}
	}()
	for _, more := range []string{"", "\nsentinel master", "\ncluster"} {
		store := openModule(t, "address "+listener.Addr().String()+more)
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	_ = listener.Close()
	select {
	case <-accepted:
		t.Error("opening a store connected to its server")
	default:
	}
}
