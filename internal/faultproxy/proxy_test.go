// SPDX-License-Identifier: Apache-2.0

package faultproxy_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/faultproxy"
)

// patience bounds what must happen; brief is for what must not.
const (
	patience = 20 * time.Second
	brief    = 100 * time.Millisecond
)

// echo is a server that sends everything back, behind a proxy.
func echo(t *testing.T) *faultproxy.Proxy {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	proxy, err := faultproxy.Listen(listener.Addr().String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		proxy.Close()
		_ = listener.Close()
		conns.Wait()
	})
	return proxy
}

func set(t *testing.T, proxy *faultproxy.Proxy, f faultproxy.Fault) {
	t.Helper()
	if err := proxy.Set(f); err != nil {
		t.Fatal(err)
	}
}

func dial(t *testing.T, proxy *faultproxy.Proxy) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// say sends a text and returns what comes back within the time.
func say(t *testing.T, conn net.Conn, text string, within time.Duration) (string, error) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	return hear(t, conn, len(text), within)
}

func hear(t *testing.T, conn net.Conn, length int, within time.Duration) (string, error) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, length)
	n, err := io.ReadFull(conn, got)
	return string(got[:n]), err
}

func expectEcho(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if got, err := say(t, conn, text, patience); err != nil || got != text {
		t.Fatalf("heard %q, %v, want %q", got, err, text)
	}
}

func TestGoodNetworkChangesNothing(t *testing.T) {
	t.Parallel()
	conn := dial(t, echo(t))
	expectEcho(t, conn, "hello")

	random := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // bytes to recognise
	sent := make([]byte, 3<<20)
	for i := range sent {
		sent[i] = byte(random.Uint32())
	}
	var sender sync.WaitGroup
	sender.Go(func() { _, _ = conn.Write(sent) })
	got, err := hear(t, conn, len(sent), patience)
	sender.Wait()
	if err != nil || !slices.Equal([]byte(got), sent) {
		t.Fatalf("3 MiB come back as %d bytes, equal %t: %v", len(got), got == string(sent), err)
	}
}

func TestLatencyDelaysBothWays(t *testing.T) {
	t.Parallel()
	proxy := echo(t)
	conn := dial(t, proxy)
	set(t, proxy, faultproxy.Fault{Latency: brief})
	began := time.Now()
	expectEcho(t, conn, "slow")
	if took := time.Since(began); took < 2*brief {
		t.Errorf("there and back took %s, want at least %s", took, 2*brief)
	}
}

func TestLossDelaysAndLosesNothing(t *testing.T) {
	t.Parallel()
	proxy := echo(t)
	conn := dial(t, proxy)
	set(t, proxy, faultproxy.Fault{Loss: 0.3})
	began := time.Now()
	for _, text := range []string{"one", "two", "three"} {
		expectEcho(t, conn, text)
	}
	if took := time.Since(began); took < brief {
		t.Errorf("six chunks of which a third is lost took %s", took)
	}
}

func TestHoleSwallowsAndStaysOpen(t *testing.T) {
	t.Parallel()
	proxy := echo(t)
	conn := dial(t, proxy)
	expectEcho(t, conn, "before")
	set(t, proxy, faultproxy.Fault{Hole: 1})
	if got, err := say(t, conn, "lost", brief); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %q, %v, want nothing on an open connection", got, err)
	}
	set(t, proxy, faultproxy.Fault{})
	if got, err := say(t, conn, "lost too", brief); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %q, %v on a connection that fell silent for good", got, err)
	}
	expectEcho(t, dial(t, proxy), "another connection")
}

func TestFreezeHoldsAndLosesNothing(t *testing.T) {
	t.Parallel()
	proxy := echo(t)
	conn := dial(t, proxy)
	set(t, proxy, faultproxy.Fault{Freeze: true})
	if got, err := say(t, conn, "held", brief); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %q, %v through a frozen network", got, err)
	}
	late := dial(t, proxy)
	if got, err := say(t, late, "held", brief); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %q, %v on a new connection through a frozen network", got, err)
	}
	set(t, proxy, faultproxy.Fault{})
	for _, c := range []net.Conn{conn, late} {
		if got, err := hear(t, c, len("held"), patience); err != nil || got != "held" {
			t.Errorf("after the thaw heard %q, %v", got, err)
		}
	}
}

func TestRefuseAndBack(t *testing.T) {
	t.Parallel()
	proxy := echo(t)
	conn := dial(t, proxy)
	expectEcho(t, conn, "before")
	set(t, proxy, faultproxy.Fault{Refuse: true})
	if got, err := hear(t, conn, 1, patience); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("an open connection: heard %q, %v, want a reset", got, err)
	}
	if _, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", proxy.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connecting: %v, want a refusal", err)
	}
	set(t, proxy, faultproxy.Fault{})
	expectEcho(t, dial(t, proxy), "after")
}

func TestResetBreaksWhatIsOpen(t *testing.T) {
	t.Parallel()
	proxy := echo(t)
	conn := dial(t, proxy)
	expectEcho(t, conn, "before")
	proxy.Reset()
	if got, err := hear(t, conn, 1, patience); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("heard %q, %v, want a reset", got, err)
	}
	expectEcho(t, dial(t, proxy), "after")
}

// The target is down: whoever connects hears it, and nothing stays behind.
func TestNobodyBehindTheProxy(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	proxy, err := faultproxy.Listen(target, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", proxy.Addr())
	if errors.Is(err, syscall.ECONNRESET) { // as early as that
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := hear(t, conn, 1, patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("heard %q, %v, want an end", got, err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	proxy := echo(t)
	conn := dial(t, proxy)
	expectEcho(t, conn, "before")
	set(t, proxy, faultproxy.Fault{Freeze: true})
	proxy.Close()
	if proxy.Open() != 0 {
		t.Errorf("%d connections are left", proxy.Open())
	}
	if got, err := hear(t, conn, 1, patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("heard %q, %v, want an end", got, err)
	}
}

// Whoever repeats a run wants the same faults.
func TestSameSeedSameFaults(t *testing.T) {
	t.Parallel()
	if a, b := faultproxy.Delays(7, 50), faultproxy.Delays(7, 50); !slices.Equal(a, b) {
		t.Errorf("one seed gives %v and %v", a, b)
	}
	if a, b := faultproxy.Delays(7, 50), faultproxy.Delays(8, 50); slices.Equal(a, b) {
		t.Error("two seeds give the same faults")
	}
}
