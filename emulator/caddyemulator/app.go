// SPDX-License-Identifier: Apache-2.0

package caddyemulator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

func init() {
	caddy.RegisterModule(App{})
}

// Where the demo listens.
const (
	defaultPublicURL  = "http://localhost:8090"
	defaultTokenURL   = "https://localhost:8091"
	defaultPartnerURL = "http://localhost:8092"
)

// stopPatience is how long answers under way may take when the config ends.
const stopPatience = 5 * time.Second

// App is a Microsoft Entra Verified ID for one machine: Request Service, token endpoint, issuers,
// a wallet and an identity-verification partner, with real signatures. It is for trying and
// testing; nothing about it is secret.
//
// Sites show its parts with the handler `verified_id_emulator`; the token endpoint listens by
// itself, because it must be https.
type App struct {
	// Origin of the Request Service and the wallet. Default: http://localhost:8090
	PublicURL string `json:"public_url,omitempty"`

	// Origin of the token endpoint, https, at whose host and port it listens. Default:
	// https://localhost:8091
	TokenURL string `json:"token_url,omitempty"`

	// Cards that are in the wallet at first, by credential type: VerifiedEmployee,
	// VerifiedIdentity. Default: none.
	Cards []string `json:"cards,omitempty"`

	// The identity-verification partner. Default: none.
	Partner *Partner `json:"partner,omitempty"`

	// Answer other machines too. Whoever can reach the emulator can then use its wallet. Default:
	// only this machine is answered, whatever the sites listen on.
	InsecureListenAnywhere bool `json:"insecure_listen_anywhere,omitempty"`

	logger      *zap.Logger
	certificate tls.Certificate
	core        *core
	partner     http.Handler
	poolKeys    []string
	listen      caddy.NetworkAddress
	server      *http.Server
	served      chan struct{} // closed when the token endpoint has ended
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "verified_id_emulator",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision takes the emulator from the config before, or makes it.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	if a.PublicURL == "" {
		a.PublicURL = defaultPublicURL
	}
	if a.TokenURL == "" {
		a.TokenURL = defaultTokenURL
	}
	var err error
	if a.listen, err = listenAddress(a.TokenURL); err != nil {
		return fmt.Errorf("token_url %q: %w", a.TokenURL, err)
	}
	if a.certificate, err = loadCertificate(dataDir(), time.Now()); err != nil {
		return err
	}
	if a.core, err = a.shareCore(ctx.Slogger()); err != nil {
		return err
	}
	if a.Partner != nil {
		if a.Partner.PublicURL == "" {
			a.Partner.PublicURL = defaultPartnerURL
		}
		if a.partner, err = a.sharePartner(ctx.Slogger()); err != nil {
			return fmt.Errorf("partner: %w", err)
		}
	}
	a.logger.Warn("this Caddy emulates Microsoft Entra Verified ID; it is for trying and testing only",
		zap.String("wallet", a.PublicURL+"/wallet"), zap.Bool("insecure_listen_anywhere", a.InsecureListenAnywhere))
	return nil
}

// listenAddress finds where to listen from an https origin.
func listenAddress(origin string) (caddy.NetworkAddress, error) {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" {
		return caddy.NetworkAddress{}, errors.New("not an https origin")
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return caddy.ParseNetworkAddress(net.JoinHostPort(u.Hostname(), port))
}

// Start opens the token endpoint.
func (a *App) Start() error {
	opened, err := a.listen.Listen(context.Background(), 0, net.ListenConfig{})
	if err != nil {
		return fmt.Errorf("opening token endpoint: %w", err)
	}
	listener, ok := opened.(net.Listener)
	if !ok {
		return fmt.Errorf("opening token endpoint: %s is no stream address", a.listen)
	}
	a.server = &http.Server{
		Handler:           a.core.TokenHandler(),
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{a.certificate}},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          zap.NewStdLog(a.logger.Named("token")),
	}
	a.served = make(chan struct{})
	go func() {
		defer close(a.served)
		if err := a.server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			a.logger.Error("token endpoint ended", zap.Error(err))
		}
	}()
	return nil
}

// Stop closes the token endpoint.
func (a *App) Stop() error {
	if a.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	err := a.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, a.server.Close())
	}
	<-a.served
	return err
}

// Cleanup gives the shared parts back, also after a Provision that failed half-way.
func (a *App) Cleanup() error {
	var errs []error
	for _, key := range a.poolKeys {
		_, err := pool.Delete(key)
		errs = append(errs, err)
	}
	a.poolKeys = nil
	return errors.Join(errs...)
}

// emulatorConfig is what the emulator is made from.
func (a *App) emulatorConfig() (emulator.Config, error) {
	cfg := emulator.Config{PublicURL: a.PublicURL, TokenURL: a.TokenURL, AllowNonLoopback: a.InsecureListenAnywhere}
	persona, ok, err := a.persona()
	if ok {
		persona.Join(&cfg)
	}
	return cfg, err
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
