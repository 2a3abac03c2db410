// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// passage is one request that a session let through, for as long as it runs. Most are gone in an instant; a WebSocket, an event
// stream, a long poll or a large download stays, and must not outlive what opened the door to it (TM-112).
//
// It is asked again every second, and at once when a revocation is heard of, what a new request would be asked: is the session
// over, and does the presentation still meet this route, max_age included? Idling alone ends no passage, and a passage is no use
// of its session: it cannot renew a cookie.
//
// The cut is made at the browser's end, where no handler can hold it up: all that the handler still writes is refused, and the
// connection's deadlines are put into the past. On HTTP/1.1 and HTTP/2 that also ends the request's context, and so the request
// to the app behind a proxy; HTTP/3 has to be told.
type passage struct {
	gate  *Gate
	who   identity
	began time.Time
	over  atomic.Bool

	shard      *passageShard // nil: not watched
	prev, next *passage      // with shard.mu
	writer     http.ResponseWriter
	conn       net.Conn           // what the handler has taken over, with shard.mu
	stop       context.CancelFunc // HTTP/3 only, with shard.mu
}

// finishing is how long a request may run whatever becomes of its session: somebody's form that was sent in its last moment is
// answered.
const finishing = 5 * time.Second

// passageShards keeps cores from waiting for each other.
const passageShards = 16

// passages are the requests that run at present. To come and to go costs no allocation.
type passages struct {
	shards [passageShards]passageShard
}

type passageShard struct {
	mu    sync.Mutex
	first *passage
	_     [48]byte // a cache line each
}

// enter begins to watch the passage, until leave. writer is the one that leads to the browser.
func (l *passages) enter(p *passage, g *Gate, who identity, writer http.ResponseWriter, now time.Time) {
	p.gate, p.who, p.writer, p.began = g, who, writer, now
	p.shard = &l.shards[rand.Uint32N(passageShards)] //nolint:gosec // G404: it only spreads them
	p.shard.mu.Lock()
	defer p.shard.mu.Unlock()
	if p.next = p.shard.first; p.next != nil {
		p.next.prev = p
	}
	p.shard.first = p
}

// leave must be called before the handler returns: net/http's writers must not be touched afterwards.
func (p *passage) leave() {
	if p.shard == nil {
		return
	}
	if p.stop != nil {
		p.stop()
	}
	p.shard.mu.Lock()
	defer p.shard.mu.Unlock()
	if p.next != nil {
		p.next.prev = p.prev
	}
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		p.shard.first = p.next
	}
}

// stoppable is the request with a context that the cut ends, for HTTP/3: there a deadline that has passed fails whoever reads or
// writes, and nobody else.
func (p *passage) stoppable(r *http.Request) *http.Request {
	if p.shard == nil || r.ProtoMajor < 3 {
		return r
	}
	ctx, stop := context.WithCancel(r.Context())
	p.shard.mu.Lock()
	defer p.shard.mu.Unlock()
	p.stop = stop
	return r.WithContext(ctx)
}

// upgraded is told the connection that the handler has taken over. Handlers return when they are done with it.
func (p *passage) upgraded(conn net.Conn) {
	if p.shard == nil {
		return
	}
	p.shard.mu.Lock()
	defer p.shard.mu.Unlock()
	p.conn = conn
}

// passageInterval is how often passages are looked at without a reason.
const passageInterval = time.Second

// watch looks after the passages until the store is given back. From then on nobody hears of revocations, so those that remain
// end, too.
func (l *passages) watch(ctx context.Context, heard <-chan struct{}) {
	tick := time.NewTicker(passageInterval)
	defer tick.Stop()
	done := ctx.Done()
	for closing := false; ; {
		if left := l.sweep(closing); closing && !left {
			return
		}
		select {
		case <-heard:
		case <-tick.C:
		case <-done:
			closing, done = true, nil
		}
	}
}

// sweep cuts the passages that are over, once more those that go on all the same, and says whether any are left.
func (l *passages) sweep(closing bool) (left bool) {
	for i := range l.shards {
		left = l.shards[i].sweep(closing) || left
	}
	return left
}

func (s *passageShard) sweep(closing bool) (left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := s.first; p != nil; p = p.next {
		now := p.gate.app.now()
		if now.Sub(p.began) < finishing {
			continue
		}
		if reason := p.refusal(now); reason != "" || closing || p.over.Load() {
			p.cut(reason)
		}
	}
	return s.first != nil
}

// refusal is why a request like this one would be refused now; "" if it would not.
func (p *passage) refusal(now time.Time) verifier.Reason {
	if reason := p.gate.site.over(p.who.session, now); reason != "" {
		return reason
	}
	for i := range p.gate.wants {
		if w := &p.gate.wants[i]; w.credential.name == p.who.presentation.Credential {
			return w.demand().Meets(p.who.presentation, time.Duration(p.gate.MaxAge), now)
		}
	}
	return ""
}

var errSessionOver = errors.New("the session of this request is over")

// past is a deadline that makes whoever reads or writes fail at once.
var past = time.Unix(1, 0)

// cut never waits for the network: to close a connection might, for as long as its reader likes.
func (p *passage) cut(reason verifier.Reason) {
	if !p.over.Swap(true) {
		if c := p.gate.logger.Check(zapcore.DebugLevel, "request cut: its session no longer opens this route"); c != nil {
			c.Write(zap.String("reason", string(reason)), zap.String("session_id", p.who.session.ID))
		}
	}
	if p.stop != nil {
		p.stop()
	}
	if p.conn != nil {
		_ = p.conn.SetDeadline(past)
		return
	}
	_ = http.NewResponseController(p.writer).SetReadDeadline(past)
	// Caddy's own writer sets deadlines for each chunk and is no place to set one from here; below it is net/http's.
	_ = http.NewResponseController(innermost(p.writer)).SetWriteDeadline(past)
}

// innermost is the writer that all others wrap.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		inner := wrapper.Unwrap()
		if inner == nil {
			return w
		}
		w = inner
	}
}
