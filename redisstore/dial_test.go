// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
)

// remoteConn is a connection to an address of our choosing that keeps what is sent.
type remoteConn struct {
	net.Conn
	remote net.Addr
	sent   bytes.Buffer
	closed bool
}

func (c *remoteConn) RemoteAddr() net.Addr        { return c.remote }
func (c *remoteConn) Write(b []byte) (int, error) { return c.sent.Write(b) }
func (c *remoteConn) Close() error                { c.closed = true; return nil }

// A sentinel on this machine, or whoever answers for it, names a master elsewhere, and the password would go there in clear.
// The connection is closed before anything is sent, unless the operator has permitted it. TM-134.
func TestPasswordDoesNotTravelInClear(t *testing.T) {
	for _, c := range []struct {
		remote    net.Addr
		plaintext bool
		refused   bool
	}{
		{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 6379}, false, true},
		{&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 6379}, false, true},
		{&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 6379}, false, true},
		{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 6379}, true, false},
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 6379}, false, false},
		{&net.TCPAddr{IP: net.IPv6loopback, Port: 6379}, false, false},
		{&net.UnixAddr{Name: "/run/redis/redis.sock", Net: "unix"}, false, false},
	} {
		made := &remoteConn{remote: c.remote}
		d := dialer{plaintext: c.plaintext, connect: func(context.Context, string, string) (net.Conn, error) { return made, nil }}
		got, err := d.dial(t.Context(), "tcp", "localhost:6379")
		switch {
		case c.refused && (!errors.Is(err, errPlaintext) || got != nil || !made.closed || made.sent.Len() > 0):
			t.Errorf("%s: connection %v, error %v, closed %v, %d bytes sent; want none", c.remote, got, err, made.closed, made.sent.Len())
		case !c.refused && err != nil:
			t.Errorf("%s, plaintext %v: %v", c.remote, c.plaintext, err)
		}
	}
}
