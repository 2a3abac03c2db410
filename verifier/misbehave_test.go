// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// drain takes what comes, as the buffers of a real connection do.
func drain(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// X8: whatever the service, or somebody on the way, makes of an answer, the visitor is answered within ten seconds, and half a
// minute later no goroutine and no connection of it is left: the bubble sees to that. TM-125.
func TestMisbehavingServiceCostsNothing(t *testing.T) {
	t.Parallel()
	hijack := func(do func(conn net.Conn)) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(http.ErrAbortHandler) // HTTP/2: its stream is reset
			}
			defer conn.Close()
			go drain(conn)
			do(conn)
		}
	}
	for name, test := range map[string]struct {
		serve   http.HandlerFunc
		connect func(conn net.Conn) // in place of a service
		http1   bool
		longest time.Duration // 0: a second and the retries
	}{
		"hangs": {serve: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, longest: 10 * time.Second},
		"hangs, HTTP/1.1": {serve: func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, http1: true, longest: 10 * time.Second},
		"hangs in the body": {serve: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, longest: 10 * time.Second},
		"drips": {serve: func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				wait(time.Second)
			}
		}, longest: 10 * time.Second},
		"drips in the header": {serve: hijack(func(conn net.Conn) {
			for _, c := range "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n" {
				if _, err := io.WriteString(conn, string(c)); err != nil {
					return
				}
				wait(time.Second)
			}
		}), http1: true, longest: 10 * time.Second},
		"resets": {serve: hangUp},
		"resets in the body": {serve: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"requestId":`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}},
		"huge": {serve: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusCreated)
			block := strings.Repeat("x", 64<<10)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, block); err != nil {
					return
				}
			}
		}},
		"huge header": {serve: func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }},
		"broken":      {serve: answer(http.StatusCreated, `{"requestId":`)},
		"not HTTP":    {serve: hijack(func(conn net.Conn) { _, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n") }), http1: true},
		"silent":      {connect: drain, longest: 10 * time.Second},
		"not TLS": {connect: func(conn net.Conn) {
			go drain(conn)
			_, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n")
		}},
		"hangs up at once": {connect: func(net.Conn) {}},
		"old TLS": {connect: func(conn net.Conn) {
			_ = tls.Server(conn, &tls.Config{MaxVersion: tls.VersionTLS11, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { //nolint:gosec // that is the point
				return nil, errors.New("not asked for")
			}}).Handshake() //nolint:noctx // a connection of its own
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualNet(t, test.serve, func(t *testing.T, n *virtualNet) {
				if test.http1 {
					n.client.OnlyHTTP1()
				}
				if test.connect != nil {
					n.connect = test.connect
				}
				longest := max(test.longest, time.Second+2*time.Second)
				begin := time.Now()
				if err := n.create(t.Context()); err == nil {
					t.Error("it is taken for a success")
				}
				if took := time.Since(begin); took > longest {
					t.Errorf("answered after %v", took)
				}
			})
		})
	}
}
