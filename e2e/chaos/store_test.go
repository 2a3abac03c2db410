// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/faultproxy"
	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
)

// sharedStore is a real redis-server that loses nothing when it is killed, and before it a network of its own for each node.
type sharedStore struct {
	server  *redistest.Server
	proxies []*faultproxy.Proxy
}

// startStore runs the store until the test ends.
func (w *world) startStore(seed uint64) {
	w.t.Helper()
	s := &sharedStore{server: redistest.Start(w.t, "--appendonly", "yes")}
	for i := range w.nodes {
		proxy, err := faultproxy.Listen(s.server.Addr, seed+uint64(i))
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(proxy.Close)
		s.proxies = append(s.proxies, proxy)
	}
	w.store = s
}

// config is the store as a node finds it.
func (s *sharedStore) config(node int) string {
	if s == nil {
		return "memory"
	}
	return "redis {\n\t\t\taddress " + s.proxies[node].Addr() + "\n\t\t}"
}

// spoil breaks the store, or the network before it, for a while.
func (s *sharedStore) spoil(ctx context.Context, a Action) error {
	if a.Kind == StoreRestart {
		s.server.Stop()
		pause(ctx, a.Lasting)
		s.server.Restart()
		return nil
	}
	if a.Kind == StoreFreeze {
		s.server.Freeze()
		pause(ctx, a.Lasting)
		s.server.Thaw()
		return nil
	}
	if a.Kind == StoreFlush {
		_, err := s.server.Try("FLUSHALL")
		return err
	}
	hit := s.proxies
	if a.Choice%2 == 1 { // one node alone is cut off
		one := int(a.Choice/2) % len(hit)
		hit = hit[one : one+1]
	}
	if a.Kind == NetReset {
		for _, proxy := range hit {
			proxy.Reset()
		}
		return nil
	}
	fault := map[Kind]faultproxy.Fault{
		NetLatency: {Latency: []time.Duration{50 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second}[a.Choice/2%3], Jitter: 100 * time.Millisecond},
		NetLoss:    {Loss: 0.5},
		NetHole:    {Hole: 0.3},
		NetRefuse:  {Refuse: true},
	}[a.Kind]
	for _, proxy := range hit {
		if err := proxy.Set(fault); err != nil {
			return err
		}
	}
	pause(ctx, a.Lasting)
	for _, proxy := range hit {
		if err := proxy.Set(faultproxy.Fault{}); err != nil {
			return err
		}
	}
	if a.Kind == NetHole { // what has fallen silent stays so until somebody notices
		pause(ctx, time.Second)
	}
	return nil
}
