// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// world is a gated site with everything around it. Only the gate runs in a process of its own; service, wallets, app and
// visitors are in this one.
type world struct {
	r          *run
	origin     string // as browsers see the site
	address    string // host:port
	appAddress string
	host       string // for the Host header
	tls        *tls.Config
	caddyfile  string
	home       string

	emulator *emulator.Emulator
	service  *service
	app      *app
	persons  persons
	gate     *caddy
	closers  []func()
}

// plan is what differs from the usual world.
type plan struct {
	name string
	// plain serves without TLS, so that nothing but the gate stands between two paired runs.
	plain bool
	// delay is the answer time of the Request Service.
	delay time.Duration
	// limits replaces the wide limits that a load test needs.
	limits string
	// remember keeps the targets of callbacks.
	remember bool
	// app are more options of the global option.
	app string
}

// wideLimits let one machine play many visitors.
const wideLimits = `starts_per_client 1000
			starts_per_second 1000
			pending 100000
			pending_per_client 100000
			streams 100000`

// newWorld makes a world and starts its gate. Close it in any case.
func (r *run) newWorld(ctx context.Context, p plan) (*world, error) {
	w := &world{r: r, app: new(app), home: filepath.Join(r.scratch, p.name)}
	if r.redis != nil {
		if err := r.redis.empty(ctx); err != nil {
			return nil, err
		}
	}
	if err := w.build(ctx, p); err != nil {
		w.close()
		return nil, fmt.Errorf("setting up: %w", err)
	}
	return w, nil
}

func (w *world) build(ctx context.Context, p plan) error {
	if err := os.MkdirAll(w.home, 0o700); err != nil {
		return err
	}
	var err error
	if w.appAddress, err = w.serve(ctx, w.app); err != nil {
		return err
	}
	if err := w.startMicrosoft(ctx, p); err != nil {
		return err
	}
	port := freePort()
	w.address, w.host = fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("localhost:%d", port)
	w.origin = "https://" + w.host
	more, certificate := p.app, ""
	if p.plain {
		w.origin = "http://" + w.host
		more += "\n\t\tinsecure_loopback_http\n\t\tpublic_url " + w.origin
	} else {
		if certificate, err = w.certificate(); err != nil {
			return err
		}
		w.tls = &tls.Config{RootCAs: w.emulator.CA().Pool(), ServerName: "localhost", MinVersion: tls.VersionTLS13}
	}
	limits := p.limits
	if limits == "" {
		limits = wideLimits
	}
	secret, err := w.file("secret", []byte(emulator.DemoClientSecret))
	if err != nil {
		return err
	}
	authorities, err := w.file("ca.pem", w.emulator.CA().PEM())
	if err != nil {
		return err
	}
	w.caddyfile = fmt.Sprintf(`{
	%s
	verified_id {
		entra %s {
			client_id %s
			client_secret {file.%s}
			authority_host %s
		}
		service %s
		trusted_ca %s
		authority %s
		client_name "Contoso Payroll"
		%s
		%s
		credential employee {
			type VerifiedEmployee
			issuer %s
			face_check photo 80
		}
		limits {
			%s
		}
	}
}

%s`, globalOptions, emulator.DemoTenant, emulator.DemoClientID, secret, w.emulator.TokenURL(), w.emulator.PublicURL(), authorities,
		emulator.DemoAuthority, w.r.store(), more, emulator.DemoAuthority, limits, site(w.origin, certificate, gateOf, w.appAddress))
	w.gate, err = startCaddy(ctx, w.r.binary, w.home, w.caddyfile, w.address)
	return err
}

// globalOptions are the same with the gate and without. Visitors' addresses come in a header, so that one machine can
// be many.
const globalOptions = `default_bind 127.0.0.1
	auto_https disable_redirects
	persist_config off
	servers {
		trusted_proxies static 127.0.0.0/8
	}`

// gateOf is the gate whose cost is measured: six headers out of claims.
const gateOf = `verified_id employee {
		headers none
		header X-Employee-Name {claim.displayName}
		header X-Employee-Mail {claim.mail}
		header X-Employee-Title {claim.jobTitle}
		header X-Employee-Id {claim.revocationId}
		header X-Employee-First {claim.givenName}
		header X-Employee-Last {claim.surname}
	}`

func site(origin, certificate, gate, app string) string {
	return fmt.Sprintf("%s {\n\t%s\n\t%s\n\treverse_proxy %s\n}\n", origin, certificate, gate, app)
}

// startMicrosoft runs Request Service and token endpoint.
func (w *world) startMicrosoft(ctx context.Context, p plan) error {
	listeners := make([]net.Listener, 2)
	for i := range listeners {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		w.closers = append(w.closers, func() { _ = listener.Close() })
		listeners[i] = listener
	}
	authorities := x509.NewCertPool()
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 256,
	}
	scheme := "https://"
	if p.plain { // callbacks go over plain HTTP only if the service itself does
		scheme = "http://"
	}
	e, err := emulator.New(emulator.Config{
		PublicURL: scheme + localhost(listeners[0]), TokenURL: "https://" + localhost(listeners[1]),
		// Making many codes takes a while; none of them must run out before it is used.
		RequestLifetime: 10 * time.Minute,
		HTTPClient:      &http.Client{Transport: transport, Timeout: patience},
	})
	if err != nil {
		return err
	}
	w.closers = append(w.closers, transport.CloseIdleConnections, func() { _ = e.Close() })
	authorities.AppendCertsFromPEM(e.CA().PEM())
	w.emulator, w.persons = e, persons{emulator: e}
	w.service = &service{emulator: e, next: e.ServiceHandler(), delay: p.delay, remember: p.remember}
	certificate, err := e.CA().TLSConfig()
	if err != nil {
		return err
	}
	if p.plain {
		w.serveOn(listeners[0], w.service, nil)
	} else {
		w.serveOn(listeners[0], w.service, certificate)
	}
	w.serveOn(listeners[1], e.TokenHandler(), certificate)
	return nil
}

// serve answers at a fresh port until the world is closed.
func (w *world) serve(ctx context.Context, handler http.Handler) (address string, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	w.serveOn(listener, handler, nil)
	return listener.Addr().String(), nil
}

func (w *world) serveOn(listener net.Listener, handler http.Handler, secure *tls.Config) {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: time.Minute, TLSConfig: secure.Clone(), // net/http writes to it
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go func() {
		if secure != nil {
			_ = server.ServeTLS(listener, "", "")
			return
		}
		_ = server.Serve(listener)
	}()
	w.closers = append(w.closers, func() { _ = server.Close() })
}

// certificate writes a certificate for localhost and returns the directive that names it.
func (w *world) certificate() (string, error) {
	config, err := w.emulator.CA().TLSConfig()
	if err != nil {
		return "", err
	}
	var chain []byte
	for _, der := range config.Certificates[0].Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(config.Certificates[0].PrivateKey)
	if err != nil {
		return "", err
	}
	certificate, err := w.file("site.pem", chain)
	if err != nil {
		return "", err
	}
	key, err := w.file("site.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return "tls " + certificate + " " + key, err
}

// file writes a file into the gate's home and returns its path.
func (w *world) file(name string, content []byte) (string, error) {
	path := filepath.Join(w.home, name)
	return path, os.WriteFile(path, content, 0o600)
}

// wire returns a client of the gate.
func (w *world) wire() *wire { return &wire{address: w.address, tls: w.tls} }

// close ends everything, the gate first.
func (w *world) close() {
	if w.gate != nil {
		w.gate.stop()
	}
	for _, end := range slices.Backward(w.closers) {
		end()
	}
}

// crashes is an error if the gate's log tells of a crash.
func (w *world) crashes() error {
	select {
	case <-w.gate.ended:
		return errors.New("the gate's process has ended: " + w.gate.lastWords())
	default:
	}
	if n := w.gate.crashes(); n > 0 {
		return fmt.Errorf("the gate's log tells of %d crashes", n)
	}
	return nil
}

func localhost(listener net.Listener) string {
	_, port := splitPort(listener.Addr().String())
	return "localhost:" + port
}
