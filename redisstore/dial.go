// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/caddymodule"
	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// errPlaintext is a connection that was closed before anything was sent.
var errPlaintext = errors.New("redis: the address is on another machine and the connection is not encrypted; add tls, or insecure_plaintext to permit it")

// dialer connects to servers, sentinels and nodes of a cluster, whoever has named them.
type dialer struct {
	tls       *tls.Config // nil: no TLS
	plaintext bool        // permits connections to other machines without TLS
	connect   func(ctx context.Context, network, address string) (net.Conn, error)
}

// newDialer finds out within half a minute that a peer has gone without a word.
func newDialer(config *tls.Config, plaintext bool) dialer {
	alive := net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
	return dialer{tls: config, plaintext: plaintext, connect: (&net.Dialer{KeepAliveConfig: alive}).DialContext}
}

func (d dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience.RedisCall)
	defer cancel()
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	plain, err := d.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if d.tls == nil {
		if remote, ok := plain.RemoteAddr().(*net.TCPAddr); ok && !remote.IP.IsLoopback() && !d.plaintext {
			_ = plain.Close() // nothing was sent
			return nil, errPlaintext
		}
		return plain, nil
	}
	config := d.tls
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			_ = plain.Close() // nothing was sent
			return nil, err
		}
		config = config.Clone()
		config.ServerName = host
	}
	encrypted := tls.Client(plain, config)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = plain.Close() // nothing but the handshake was sent
		return nil, fmt.Errorf("redis: TLS with %s: %w", address, err)
	}
	return encrypted, nil
}

// tlsConfig is nil where TLS is not asked for.
func (s *settings) tlsConfig(groupReads bool) (*tls.Config, error) {
	if !s.TLS {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.roots, ServerName: s.ServerName}
	if s.ClientCertificate == "" {
		return config, nil
	}
	if _, err := s.clientCertificate(groupReads); err != nil {
		return nil, err
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return s.clientCertificate(groupReads)
	}
	return config, nil
}

// clientCertificate reads certificate and key anew, so that both can be renewed without a reload.
func (s *settings) clientCertificate(groupReads bool) (*tls.Certificate, error) {
	chain, err := os.ReadFile(s.ClientCertificate)
	if err != nil {
		return nil, fmt.Errorf("tls_client_certificate: %w; correct the path, or make the file readable", err)
	}
	key, err := caddymodule.ReadKeyFile(s.ClientKey, groupReads)
	if err != nil {
		return nil, fmt.Errorf("tls_client_certificate: the key: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("tls_client_certificate: %w; give the PEM files of a certificate and its key, in this order", err)
	}
	return &pair, nil
}
