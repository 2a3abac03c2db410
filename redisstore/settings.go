// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/caddy-verified-id/caddy-verified-id/caddymodule"
)

// maxDatabase is more than any server is set up with.
const maxDatabase = 65_535

// settings are the module's options with placeholders replaced. What a connection depends on is exported, for StoreKey.
type settings struct {
	Addresses                          []string
	Sentinel                           string
	SentinelUsername, SentinelPassword string
	Cluster                            bool
	Database                           int
	Prefix                             string
	Username, Password, PasswordFile   string
	TLS                                bool
	CA                                 string // PEM
	ClientCertificate, ClientKey       string
	ServerName                         string
	Plaintext                          bool

	roots *x509.CertPool // nil is the system's
}

// resolve replaces placeholders and checks everything that can be checked without asking anybody.
func (m *Module) resolve() (*settings, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	s := &settings{
		Cluster: m.Cluster, Database: m.Database, Prefix: m.prefix(), Plaintext: m.InsecurePlaintext, TLS: m.encrypted(),
	}
	for _, address := range m.Addresses {
		resolved, err := caddymodule.ResolveSecret("address", address) // somebody has put the password there, and it is in no error
		if err != nil {
			return nil, err
		}
		if err := checkAddress(resolved); err != nil {
			return nil, err
		}
		s.Addresses = append(s.Addresses, resolved)
	}
	for _, field := range []struct {
		option, value string
		into          *string
		resolve       func(option, value string) (string, error)
	}{
		{"sentinel", m.Sentinel, &s.Sentinel, caddymodule.Resolve},
		{"sentinel_username", m.SentinelUsername, &s.SentinelUsername, caddymodule.Resolve},
		{"sentinel_password", m.SentinelPassword, &s.SentinelPassword, caddymodule.ResolveSecret},
		{"username", m.Username, &s.Username, caddymodule.Resolve},
		{"password", m.Password, &s.Password, caddymodule.ResolveSecret},
		{"password_file", m.PasswordFile, &s.PasswordFile, caddymodule.Resolve},
		{"tls_ca", m.TLSCA, &s.CA, caddymodule.Resolve},
		{"tls_client_certificate", m.TLSClientCertificate, &s.ClientCertificate, caddymodule.Resolve},
		{"tls_client_certificate", m.TLSClientKey, &s.ClientKey, caddymodule.Resolve},
		{"tls_server_name", m.TLSServerName, &s.ServerName, caddymodule.Resolve},
	} {
		if field.value == "" {
			continue
		}
		var err error
		if *field.into, err = field.resolve(field.option, field.value); err != nil {
			return nil, err
		}
	}
	if err := checkTogether(s.Addresses, s.Sentinel != "", s.Cluster, s.TLS, s.Plaintext); err != nil {
		return nil, err
	}
	if s.PasswordFile != "" {
		if _, err := readPassword(s.PasswordFile); err != nil {
			return nil, err
		}
	}
	return s, s.readCA()
}

func (m *Module) prefix() string {
	if m.Prefix == "" {
		return DefaultPrefix
	}
	return m.Prefix
}

// encrypted says whether TLS is used: whoever names a certificate wants it.
func (m *Module) encrypted() bool {
	return m.TLS || m.TLSCA != "" || m.TLSClientCertificate != "" || m.TLSServerName != ""
}

// check judges which options go together. It is asked when the Caddyfile is read, too, so it does not look behind placeholders.
func (m *Module) check() error {
	switch {
	case len(m.Addresses) == 0:
		return errors.New("address is missing; add: address redis.internal:6379")
	case m.Sentinel != "" && m.Cluster:
		return errors.New("sentinel and cluster contradict each other; remove one")
	case len(m.Addresses) > 1 && m.Sentinel == "" && !m.Cluster:
		return errors.New("several addresses need cluster, or sentinel with the name of the master; add it, or keep one address")
	case m.Sentinel == "" && (m.SentinelUsername != "" || m.SentinelPassword != ""):
		return errors.New("sentinel_username and sentinel_password need sentinel with the name of the master; add it, or remove them")
	case m.SentinelUsername != "" && m.SentinelPassword == "":
		return errors.New("sentinel_username needs a sentinel_password; add it, or remove the user")
	case m.Cluster && m.Database != 0:
		return errors.New("database: a cluster has only number 0; remove the option")
	case m.Password != "" && m.PasswordFile != "":
		return errors.New("password and password_file contradict each other; remove one")
	case m.Username != "" && m.Password == "" && m.PasswordFile == "":
		return errors.New("username needs a password; add password_file or password, or remove the user")
	case (m.TLSClientCertificate == "") != (m.TLSClientKey == ""):
		return errors.New("tls_client_certificate and its key (JSON: tls_client_key) go together; give both")
	}
	if err := checkDatabase(m.Database); err != nil {
		return err
	}
	return checkPrefix(m.prefix())
}

// checkTogether judges addresses without placeholders.
func checkTogether(addresses []string, sentinel, cluster, encrypted, plaintext bool) error {
	for _, address := range addresses {
		_, socket := socketPath(address)
		switch {
		case socket && (sentinel || cluster):
			return errors.New("address: sentinels and clusters are not reached over a socket; write host:port")
		case socket && encrypted:
			return errors.New("tls: a socket does not leave this machine; remove the tls options")
		case !socket && !encrypted && !plaintext && !isLoopback(address):
			return fmt.Errorf("address %s is on another machine, and the password would go there in clear; add tls, or insecure_plaintext to permit it", address)
		}
	}
	return nil
}

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

// checkAddress never quotes the address: of a URL, the password would be a part of it (TM-134).
func checkAddress(address string) error {
	wrong := errors.New("address must be host:port or unix//path, for example redis.internal:6379; what a URL would hold besides has options of its own: username, password_file, database, tls")
	if path, socket := socketPath(address); socket {
		if !strings.HasPrefix(path, "/") {
			return wrong
		}
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return wrong
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		return wrong
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostPattern.MatchString(host) {
		return wrong
	}
	return nil
}

// socketPath is the path of an address that is a socket's.
func socketPath(address string) (string, bool) { return strings.CutPrefix(address, "unix/") }

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func checkDatabase(number int) error {
	if number < 0 || number > maxDatabase {
		return fmt.Errorf("database %d: must be from 0 to %d", number, maxDatabase)
	}
	return nil
}

func checkPrefix(prefix string) error {
	if !prefixPattern.MatchString(prefix) {
		return fmt.Errorf("prefix %q: must be 1 to 64 letters, digits and . _ : -", prefix)
	}
	return nil
}

// readPassword reads the file anew each time. Its errors do not name the path: who writes {file./run/secrets/redis} hands over
// the password in place of it.
func readPassword(path string) (string, error) {
	content, err := os.ReadFile(path) //nolint:gosec // a path from the config
	if err != nil {
		if inner, ok := errors.AsType[*fs.PathError](err); ok {
			err = inner.Err
		}
		return "", fmt.Errorf("password_file: %w; give the path of the file, without {file.…}, and make it readable", err)
	}
	password := strings.TrimRight(string(content), "\r\n")
	if password == "" {
		return "", errors.New("password_file: the file is empty; put the password there")
	}
	return password, nil
}

// readCA reads the authorities, and puts them in place of their path, so that a reload after a change connects anew.
func (s *settings) readCA() error {
	if s.CA == "" {
		return nil
	}
	content, err := os.ReadFile(s.CA)
	if err != nil {
		return fmt.Errorf("tls_ca: %w; correct the path, or make the file readable", err)
	}
	s.roots = x509.NewCertPool()
	if !s.roots.AppendCertsFromPEM(content) {
		return fmt.Errorf("tls_ca: %s holds no PEM certificate; put the authority's certificate there", s.CA)
	}
	s.CA = string(content)
	return nil
}
