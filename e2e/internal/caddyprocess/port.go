// SPDX-License-Identifier: Apache-2.0

package caddyprocess

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// handedOut remembers ports so that journeys running side by side never get the same.
var handedOut = struct {
	sync.Mutex
	ports map[int]bool
}{ports: make(map[int]bool)}

// FreePort returns a loopback port that nobody listens on. It lies below the range from which systems take the ports of
// outgoing connections, so that none of those can slip in before the server binds.
func FreePort(t *testing.T) int {
	t.Helper()
	const lowest, count = 20000, 10000
	handedOut.Lock()
	defer handedOut.Unlock()
	for range 1000 {
		port := lowest + rand.IntN(count) //nolint:gosec // any free port will do
		if handedOut.ports[port] {
			continue
		}
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatalf("closing a port: %v", err)
		}
		handedOut.ports[port] = true
		return port
	}
	t.Fatal("no free port in a thousand tries")
	return 0
}
