// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// authority signs certificates of a test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = writePEM(t, "ca.pem", "CERTIFICATE", der)
	return a
}

// issue makes a certificate for a name and returns the files of it and its key.
func (a *authority) issue(t testing.TB, name string) (certificate, key string) {
	t.Helper()
	own := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, a.certificate, own.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "certificate.pem", "CERTIFICATE", der), writePEM(t, "key.pem", "PRIVATE KEY", private)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t testing.TB, name, kind string, der []byte) string {
	t.Helper()
	return writeFile(t, name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

// startTLS runs a server that speaks TLS at the address, and demands a certificate of its clients.
func startTLS(t *testing.T, a *authority, name string) (address string) {
	t.Helper()
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = free.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	certificate, key := a.issue(t, name)
	redistest.Start(t, "--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", a.file, "--tls-auth-clients", "yes")
	return address
}

// The password and all that is stored go to the server whose certificate is right, and to no other; a server that wants to know
// its clients gets their certificate. TM-134.
func TestTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	address := startTLS(t, ours, "redis.internal")
	certificate, key := ours.issue(t, "caddy")
	client := "\ntls_client_certificate " + certificate + " " + key
	const name = "\ntls_server_name redis.internal"
	create(t, openModule(t, "address "+address+"\ntls_ca "+ours.file+client+name), requested("a"))

	for what, options := range map[string]string{
		"another authority":     "\ntls_ca " + theirs.file + client + name,
		"the system's":          client + name,
		"another name":          "\ntls_ca " + ours.file + client + "\ntls_server_name other.internal",
		"the address as name":   "\ntls_ca " + ours.file + client,
		"no client certificate": "\ntls_ca " + ours.file + name,
		"no TLS":                "",
	} {
		store := openModule(t, "address "+address+options)
		wantError(t, "Create with "+what, store.Create(t.Context(), requested(what)), verifier.ErrStoreUnavailable)
	}
}
