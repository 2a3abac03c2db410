// SPDX-License-Identifier: Apache-2.0

//go:build unix

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
)

// cluster is examples/cluster, started by its script on free ports.
type cluster struct {
	*world
	nodes   []string // address of each, from 0
	balance string   // address of the balancer
	wallet  string   // origin
	state   string   // folder
}

// startCluster runs the script. At the end of the test it is asked to stop, and must leave nobody behind.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("redis-server is missing: run scripts/prepare, or install it (Debian: apt-get install redis-server)")
	}
	c := &cluster{world: &world{t: t, client: &http.Client{Transport: &http.Transport{}}}, state: t.TempDir()}
	environment, at := append(os.Environ(), "CADDY="+caddyprocess.Binary(t), "STATE="+c.state), make(map[string]string)
	for _, name := range []string{
		"PORT", "NODE1_PORT", "NODE2_PORT", "NODE3_PORT", "NODE1_ADMIN", "NODE2_ADMIN", "NODE3_ADMIN", "REDIS_PORT", "SERVICE_PORT", "TOKEN_PORT",
	} {
		port := strconv.Itoa(caddyprocess.FreePort(t))
		environment, at[name] = append(environment, name+"="+port), net.JoinHostPort("127.0.0.1", port)
	}
	c.balance, c.nodes = at["PORT"], []string{at["NODE1_PORT"], at["NODE2_PORT"], at["NODE3_PORT"]}
	c.origin = strings.Replace("http://"+at["PORT"], "127.0.0.1", "localhost", 1)
	c.wallet = strings.Replace("http://"+at["SERVICE_PORT"], "127.0.0.1", "localhost", 1)

	output := caddyprocess.NewLog()
	run := exec.CommandContext(context.WithoutCancel(t.Context()), "../examples/cluster/run")
	run.Env, run.Stdout, run.Stderr = environment, output, output
	if err := run.Start(); err != nil {
		t.Fatalf("starting the cluster: %v", err)
	}
	ended := make(chan struct{})
	ready, abort := context.WithTimeoutCause(t.Context(), 2*patience, errors.New("not in time"))
	go func() {
		_ = run.Wait() // by a signal
		abort()
		close(ended)
	}()
	t.Cleanup(func() {
		defer abort()
		_ = run.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("the script does not stop")
			_ = run.Process.Kill()
		}
		for name, address := range at {
			if conn, err := net.DialTimeout("tcp", address, patience); err == nil { //nolint:noctx // after the test
				conn.Close()
				t.Errorf("after the script somebody still listens at %s", name)
			}
		}
		if t.Failed() {
			t.Logf("the script said:\n%s", output)
			for _, name := range []string{"node1", "node2", "node3", "balancer", "emulator", "redis"} {
				log, _ := os.ReadFile(filepath.Join(c.state, name+".log"))
				t.Logf("log of %s:\n%s", name, log)
			}
		}
	})
	if err := output.Wait(ready, "Ready"); err != nil {
		t.Fatalf("waiting for the cluster: %v\n%s", err, output)
	}
	return c
}

// answeredBy remembers which node has answered last.
type answeredBy struct {
	http.RoundTripper
	node *string
}

func (a answeredBy) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := a.RoundTripper.RoundTrip(r)
	if err == nil {
		*a.node = response.Header.Get("X-Node")
	}
	return response, err
}

// visitor is a browser whose requests go to the address, whatever they are for, and where the node is written that answers.
func (c *cluster) visitor(address string) (browser *client, node *string) {
	browser, node = c.newClient("127.0.0.1"), new(string)
	transport := browser.http.Transport.(*http.Transport) //nolint:forcetypeassert // the world made it
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	browser.http.Transport = answeredBy{transport, node}
	return browser, node
}

// kill ends a node as kill -9 does. It returns when nobody listens there any more.
func (c *cluster) kill(node string) {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.state, "node"+node+".pid"))
	if err != nil {
		c.t.Fatalf("killing node %q: %v", node, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		c.t.Fatalf("killing node %s: %v", node, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		c.t.Fatalf("killing node %s: %v", node, err)
	}
	number, err := strconv.Atoi(node)
	if err != nil {
		c.t.Fatalf("killing node %s: %v", node, err)
	}
	c.until("the killed node is gone", func() bool {
		conn, err := new(net.Dialer).DialContext(c.t.Context(), "tcp", c.nodes[number-1])
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}

// until waits until it is so.
func (c *cluster) until(what string, so func() bool) {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !so(); <-tick.C {
		if time.Now().After(end) {
			c.t.Fatalf("%s: not in time", what)
		}
	}
}

// share answers a link by the wallet's pages.
func (c *cluster) share(link string) {
	c.t.Helper()
	person := http.Client{Timeout: patience}
	response, err := person.Get(c.wallet + "/wallet/open?link=" + url.QueryEscape(link)) //nolint:noctx // bounded by the client
	if err != nil {
		c.t.Fatalf("opening the link: %v", err)
	}
	response.Body.Close()
	if response, err = person.PostForm(response.Request.URL.String()+"/share", url.Values{"score": {"95"}}); err != nil { //nolint:noctx // bounded by the client
		c.t.Fatalf("sharing: %v", err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(page), "Shared") {
		c.t.Fatalf("the wallet says %s, %v\n%s", response.Status, err, page)
	}
}

// What the example's README says: a visit goes over all nodes, a node dies in its midst, the visitor gets in all the same, stays in,
// and after a logout on one node no other lets in a copy of the cookies.
func TestClusterExampleOutlivesANode(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	ana, node := c.visitor(c.balance)
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	must("starting", ana.start())
	must("asking for a code", ana.request())
	began := *node
	link, err := ana.link()
	must("reading the code", err)
	if *node == began {
		t.Errorf("node %s answers twice in a row: the balancer is sticky", began)
	}
	c.kill(began)
	c.share(link)
	// A balancer may have lost a connection to the dead node that it wanted to use: a page that is asked for again loses nothing.
	done, err := ana.finish()
	must("finishing", err)
	if !done.setsASession {
		t.Fatalf("finishing answers %d without a session", done.status)
	}
	greets := func(who *client, want bool) bool {
		t.Helper()
		a, err := who.send("GET", "/payroll", nil)
		must("asking for the app", err)
		return (a.status == http.StatusOK && strings.Contains(a.page, "Ana Lima")) == want
	}
	if !greets(ana, true) {
		t.Error("who came in is not let in")
	}
	copies := make(map[string]*client)
	for i, address := range c.nodes {
		if name := fmt.Sprint(i + 1); name != began {
			copies[name], _ = c.visitor(address)
			copies[name].http.Jar = ana.copied("127.0.0.1").http.Jar
			if !greets(copies[name], true) {
				t.Errorf("node %s does not let in who came in by another", name)
			}
		}
	}
	out, err := ana.logOut()
	must("logging out", err)
	if out.status != http.StatusOK {
		t.Fatalf("logging out answers %d", out.status)
	}
	for name, thief := range copies {
		c.until("node "+name+" has heard of the logout", func() bool { return greets(thief, false) })
	}
}
