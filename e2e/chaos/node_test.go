// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
)

// node is one Caddy. All nodes have the same name, port, keys and storage, each with an address and a home of its own.
type node struct {
	w       *world
	index   int
	address string
	home    string

	mu      sync.Mutex
	process *caddyprocess.Process // nil while it is dead
}

// start runs the node and returns when it serves.
func (n *node) start() {
	p := caddyprocess.Start(n.w.t, n.home, n.w.caddyfile(n, Plain))
	n.w.recorder.mu.Lock()
	n.w.recorder.logs[n.index] = append(n.w.recorder.logs[n.index], p.Log)
	n.w.recorder.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.process = p
}

// kill ends the node as kill -9 does. It says whether it was alive.
func (n *node) kill() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return false
	}
	n.process.Kill()
	n.process = nil
	return true
}

// call sends a request to the node's admin endpoint.
func (n *node) call(method, path, contentType, body string) (string, error) {
	n.mu.Lock()
	p := n.process
	n.mu.Unlock()
	if p == nil {
		return "", fmt.Errorf("node %d is dead", n.index)
	}
	return p.Call(method, path, contentType, body)
}

// slowReload is from when on a reload has to say what it waits for.
const slowReload = 5 * time.Second

func (n *node) reload(caddyfile string) error {
	defer n.explain()()
	answer, err := n.call(http.MethodPost, "/load", "text/caddyfile", caddyfile)
	if err != nil {
		return fmt.Errorf("%w: %s", err, answer)
	}
	return nil
}

// explain logs what the node's reload waits for if it takes long, until the returned function is called. With CHAOS_FOLDER the whole
// dump goes there.
func (n *node) explain() (stop func()) {
	over, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		for took := slowReload; took <= 3*slowReload; took += slowReload {
			select {
			case <-over:
				return
			case <-time.After(slowReload):
			}
			dump, err := n.call(http.MethodGet, "/debug/pprof/goroutine?debug=2", "", "")
			if err != nil {
				continue // it was killed
			}
			for stack := range strings.SplitSeq(dump, "\n\n") {
				if strings.Contains(stack, "adminLoad") {
					n.w.t.Logf("node %d: a reload takes more than %s, with %d goroutines; it stands at\n%s",
						n.index, took, strings.Count(dump, "\n\n")+1, stack)
				}
			}
			if folder := os.Getenv("CHAOS_FOLDER"); folder != "" {
				file := filepath.Join(folder, fmt.Sprintf("reload-node%d-%s-%s.txt", n.index, time.Now().Format("150405"), took))
				if err := os.WriteFile(file, []byte(dump), 0o600); err != nil { //nolint:gosec // G703: the folder that the caller of the test has named
					n.w.t.Errorf("keeping a dump: %v", err)
				}
			}
		}
	}()
	return func() {
		close(over)
		<-told
	}
}

// goroutines is how many the node has.
func (n *node) goroutines() (int, error) {
	profile, err := n.call(http.MethodGet, "/debug/pprof/goroutine?debug=1", "", "")
	if err != nil {
		return 0, err
	}
	head, _, _ := strings.Cut(strings.TrimPrefix(profile, "goroutine profile: total "), "\n")
	return strconv.Atoi(head)
}

// route is the way of one request through the balancer: the nodes in the order in which they are tried, and the one that it
// came to. A node that does not listen is passed over, as every balancer does, because nothing was sent yet.
type route struct {
	order []int
	node  atomic.Int64 // written by the transport, which may go on after the request has failed
}

// came is the node that the request came to.
func (r *route) came() int { return int(r.node.Load()) }

type routeKey struct{}

// dial connects to a node by the request's route if the address is the site's, and as usual otherwise.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	r, ok := ctx.Value(routeKey{}).(*route)
	if !ok || port != w.port && port != w.freePort {
		return dialer.DialContext(ctx, network, address)
	}
	for _, i := range r.order {
		r.node.Store(int64(i))
		var conn net.Conn
		if conn, err = dialer.DialContext(ctx, network, net.JoinHostPort(w.nodes[i].address, port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}
