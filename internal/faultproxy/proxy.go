// SPDX-License-Identifier: Apache-2.0

package faultproxy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Proxy passes connections on to one address. It is safe for concurrent use. End it with [Proxy.Close].
type Proxy struct {
	target, address string

	now func() time.Time

	mu       sync.Mutex
	random   *rand.Rand
	fault    Fault
	changed  chan struct{} // closed and replaced when fault changes
	listener net.Listener  // nil while it refuses
	links    map[*link]struct{}
	closed   bool
	running  sync.WaitGroup
}

// Listen opens a loopback port for the target, an address such as 127.0.0.1:6379. Nobody needs to listen there yet. The seed
// decides what happens by chance.
func Listen(target string, seed uint64) (*Proxy, error) {
	p := &Proxy{
		target: target, address: "127.0.0.1:0", random: rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // G404: faults, not secrets
		changed: make(chan struct{}), links: make(map[*link]struct{}),
	}
	p.now = time.Now
	if err := p.open(); err != nil {
		return nil, fmt.Errorf("opening a fault proxy: %w", err)
	}
	p.address = p.listener.Addr().String()
	return p, nil
}

// Addr returns the address to connect to. It stays the same for the proxy's life.
func (p *Proxy) Addr() string { return p.address }

// open listens. The caller holds mu, or nobody else knows the proxy yet.
func (p *Proxy) open() error {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", p.address)
	if err != nil {
		return err
	}
	p.listener = listener
	p.running.Go(func() { p.accept(listener) })
	return nil
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return // closed: by Close, or to refuse
		}
		l := &link{proxy: p, client: client, ended: make(chan struct{})}
		if !p.add(l) {
			l.end(true)
			return
		}
		p.running.Go(l.serve)
	}
}

func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.fault.Refuse {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// Set makes the network go wrong from now on, for open connections too, or right again. It fails where the port, after a
// [Fault.Refuse], is no longer free.
func (p *Proxy) Set(f Fault) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.changed)
	p.changed = make(chan struct{})
	switch {
	case p.closed:
	case f.Refuse && p.listener != nil:
		_ = p.listener.Close()
		p.listener = nil
		p.reset()
	case !f.Refuse && p.listener == nil:
		if err := p.open(); err != nil {
			return fmt.Errorf("opening the fault proxy's port again: %w", err)
		}
	}
	return nil
}

// Reset breaks every open connection, as a firewall does that starts anew.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reset()
}

func (p *Proxy) reset() {
	for l := range p.links {
		l.end(true)
	}
}

// Open returns how many connections are open.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Close closes the port and breaks every connection. It returns when all is over.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	p.reset()
	p.mu.Unlock()
	p.running.Wait()
}

// decide says what happens to a chunk at present: for how long it is under way, or that its connection falls silent.
func (p *Proxy) decide() (late time.Duration, hole bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault.delay(p.random), p.random.Float64() < p.fault.Hole
}

// frozen returns a channel that ends with the present fault, or nil if nothing is held.
func (p *Proxy) frozen() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.fault.Freeze {
		return nil
	}
	return p.changed
}
