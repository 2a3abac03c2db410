// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// listen opens a loopback port.
func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("opening a port: %v", err)
	}
	return listener
}

// localhost is the listener's address with the name that people use.
func localhost(listener net.Listener) string {
	return fmt.Sprintf("localhost:%d", listener.Addr().(*net.TCPAddr).Port) //nolint:forcetypeassert // listen makes no other
}

// serve answers on the listener, with a certificate of the world's authority, until the test ends.
func (w *world) serve(listener net.Listener, handler http.Handler) {
	w.t.Helper()
	server := httptest.Server{
		Listener: listener, TLS: w.tlsConfig(), Config: &http.Server{Handler: handler, ReadHeaderTimeout: patience},
	}
	server.StartTLS()
	w.t.Cleanup(server.Close)
}

// tlsConfig has a fresh certificate for localhost.
func (w *world) tlsConfig() *tls.Config {
	w.t.Helper()
	config, err := w.emulator.CA().TLSConfig()
	if err != nil {
		w.t.Fatalf("making a certificate: %v", err)
	}
	return config
}

// certificateFiles writes a fresh certificate for localhost and its key into the home, for Caddy.
func (w *world) certificateFiles() (certificate, key string) {
	w.t.Helper()
	fresh := w.tlsConfig().Certificates[0]
	var chain []byte
	for _, der := range fresh.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(fresh.PrivateKey)
	if err != nil {
		w.t.Fatalf("writing a key: %v", err)
	}
	return w.file("site.pem", chain), w.file("site.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// file writes a file into the home and returns its path, as a Caddyfile can name it.
func (w *world) file(name string, content []byte) (path string) {
	w.t.Helper()
	path = filepath.Join(w.home, name)
	if err := os.WriteFile(path, content, 0o600); err != nil { //nolint:gosec // the test's own folder
		w.t.Fatalf("writing a file: %v", err)
	}
	return filepath.ToSlash(path)
}
