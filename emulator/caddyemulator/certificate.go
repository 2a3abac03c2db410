// SPDX-License-Identifier: Apache-2.0

package caddyemulator

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
)

const (
	// caVariable is the environment variable with the path of the certificate.
	caVariable = "VERIFIED_ID_EMULATOR_CA"

	certificateLifetime = 10 * 365 * 24 * time.Hour

	// renewBefore is how close to its end a certificate is made anew.
	renewBefore = 30 * 24 * time.Hour

	keyFile         = "token-endpoint.pem"    // key and certificate
	certificateFile = "token-endpoint-ca.pem" // certificate only, for those who trust it
)

// tokenHosts are the names the certificate is for. It cannot sign others, so trusting it trusts
// nothing but the emulator.
var tokenHosts = struct {
	names     []string
	addresses []net.IP
}{[]string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}}

// ExportCertificate makes sure that the token endpoint's certificate exists and puts its path
// into the environment variable VERIFIED_ID_EMULATOR_CA, for `trusted_ca
// {env.VERIFIED_ID_EMULATOR_CA}`. Call it before Caddy reads its config.
//
// The certificate stays the same for years: a `caddy reload`, which is a process of its own,
// must not pull the rug from under the running server.
func ExportCertificate() error {
	dir := dataDir()
	if _, err := loadCertificate(dir, time.Now()); err != nil {
		return err
	}
	if err := os.Setenv(caVariable, filepath.Join(dir, certificateFile)); err != nil {
		return fmt.Errorf("exporting the emulator's certificate: %w", err)
	}
	return nil
}

func dataDir() string { return filepath.Join(caddy.AppDataDir(), "verified-id-emulator") }

// loadCertificate reads the certificate and its key from dir, or makes them.
func loadCertificate(dir string, now time.Time) (tls.Certificate, error) {
	path := filepath.Join(dir, keyFile)
	cert, err := readCertificate(path, now)
	if errors.Is(err, errNoCertificate) {
		if err := makeCertificate(path, now); err != nil {
			return tls.Certificate{}, fmt.Errorf("making the emulator's certificate: %w", err)
		}
		// Another process may have been quicker: what lies on the disk counts.
		cert, err = readCertificate(path, now)
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading the emulator's certificate: %w", err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw})
	publicPath := filepath.Join(dir, certificateFile)
	if there, err := os.ReadFile(publicPath); err == nil && bytes.Equal(there, public) { //nolint:gosec // in Caddy's data folder
		return cert, nil
	}
	if err := replaceFile(publicPath, public, 0o644); err != nil {
		return tls.Certificate{}, fmt.Errorf("writing the emulator's certificate: %w", err)
	}
	return cert, nil
}

// errNoCertificate means that there is none, or none that will do.
var errNoCertificate = errors.New("no usable certificate")

func readCertificate(path string, now time.Time) (tls.Certificate, error) {
	text, err := os.ReadFile(path) //nolint:gosec // in Caddy's data folder
	switch {
	case errors.Is(err, os.ErrNotExist):
		return tls.Certificate{}, errNoCertificate
	case err != nil:
		return tls.Certificate{}, err
	}
	cert, err := tls.X509KeyPair(text, text)
	if err != nil || now.Before(cert.Leaf.NotBefore) || now.Add(renewBefore).After(cert.Leaf.NotAfter) {
		return tls.Certificate{}, errNoCertificate
	}
	return cert, nil
}

func makeCertificate(path string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Verified ID emulator, not for production"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(certificateLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     tokenHosts.names,
		IPAddresses:  tokenHosts.addresses,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return replaceFile(path, text, 0o600)
}

// replaceFile writes a file in one step, so that no other process reads half of it.
func replaceFile(path string, content []byte, mode os.FileMode) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(content)
	err = errors.Join(err, temporary.Chmod(mode), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}
