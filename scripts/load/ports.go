// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"
)

var handedOut = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// freePort returns a loopback port that nobody listens on, below the range from which systems take the ports of outgoing
// connections. 0 if there is none.
func freePort() int {
	handedOut.Lock()
	defer handedOut.Unlock()
	for range 1000 {
		port := 20000 + rand.IntN(10000) //nolint:gosec // any free port will do
		if handedOut.ports[port] {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) //nolint:noctx // it is closed at once
		if err != nil {
			continue
		}
		_ = listener.Close()
		handedOut.ports[port] = true
		return port
	}
	return 0
}

// listens says whether somebody accepts connections at the address.
func listens(ctx context.Context, address string) bool {
	dialer := net.Dialer{Timeout: time.Second}
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// splitPort is [net.SplitHostPort] for addresses that have a port.
func splitPort(address string) (host, port string) {
	host, port, _ = net.SplitHostPort(address)
	return host, port
}
