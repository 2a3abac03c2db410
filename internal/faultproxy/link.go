// SPDX-License-Identifier: Apache-2.0

package faultproxy

import (
	"context"
	"net"
	"sync"
	"time"
)

const (
	maxChunk = 16 << 10
	// underway is how many chunks of one direction may be under way; then the sender has to wait.
	underway = 64
)

// link is one connection from a client to the target.
type link struct {
	proxy  *Proxy
	client net.Conn
	ended  chan struct{}

	mu     sync.Mutex
	server net.Conn // nil until connected
	over   bool
}

// chunk is what was read at once, and when it is to arrive.
type chunk struct {
	content []byte
	due     time.Time
}

func (l *link) serve() {
	defer l.proxy.remove(l)
	defer l.end(false)
	if !l.thaw() {
		return
	}
	server, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(context.Background(), "tcp", l.proxy.target)
	if err != nil {
		l.end(true)
		return
	}
	l.mu.Lock()
	l.server = server
	over := l.over
	l.mu.Unlock()
	if over {
		_ = server.Close()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { l.carry(server, l.client) })
	both.Go(func() { l.carry(l.client, server) })
	both.Wait()
}

// carry moves chunks in one direction until one end closes. Reading and arriving are apart, or latency would also bound how much
// goes through.
func (l *link) carry(to, from net.Conn) {
	chunks := make(chan chunk, underway)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(chunks)
		silent := false
		for {
			content := make([]byte, maxChunk)
			n, err := from.Read(content)
			if n > 0 {
				late, hole := l.proxy.decide()
				if silent = silent || hole; !silent {
					select {
					case chunks <- chunk{content[:n], l.proxy.now().Add(late)}:
					case <-l.ended:
						return
					}
				}
			}
			if err != nil {
				return
			}
		}
	})
	for c := range chunks {
		if !l.until(c.due) || !l.thaw() {
			break
		}
		if _, err := to.Write(c.content); err != nil {
			break
		}
	}
	l.end(false) // one end has closed, and so does the other
	reader.Wait()
}

// until waits for the time and says whether the link is still there.
func (l *link) until(due time.Time) bool {
	timer := time.NewTimer(due.Sub(l.proxy.now()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.ended:
		return false
	}
}

// thaw waits while the network is frozen and says whether the link is still there.
func (l *link) thaw() bool {
	for {
		held := l.proxy.frozen()
		if held == nil {
			return true
		}
		select {
		case <-held:
		case <-l.ended:
			return false
		}
	}
}

// end closes both ends; with a reset, both hear that the connection broke.
func (l *link) end(reset bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.over = true
	close(l.ended)
	for _, end := range []net.Conn{l.client, l.server} {
		if end == nil {
			continue
		}
		if tcp, ok := end.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = end.Close()
	}
}
