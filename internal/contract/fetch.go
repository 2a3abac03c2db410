// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/internal/serviceurl"
)

// Fetcher fetches manifests and DID documents. Make one with [NewFetcher].
type Fetcher struct {
	client   *http.Client
	loopback bool
}

// NewFetcher makes a Fetcher that trusts roots; nil: the system's. loopback permits addresses of this machine, and plain HTTP to
// them, for trying; otherwise only public addresses are connected to, whatever a name resolves to.
//
// It uses no proxy of the environment: through one, nothing could be said about the address that is reached.
func NewFetcher(roots *x509.CertPool, loopback bool) *Fetcher {
	dialer := &net.Dialer{Timeout: patience.Connect, Control: func(_, address string, _ syscall.RawConn) error {
		return checkAddress(address, loopback)
	}}
	return &Fetcher{loopback: loopback, client: &http.Client{
		Timeout: patience.ManifestFetch,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    patience.Connect,
			MaxResponseHeaderBytes: 64 << 10,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Get fetches a manifest and verifies it. The contract comes together with an error that wraps [ErrUnresolved] if there was nothing to
// verify it against; with every other error it is nil.
func (f *Fetcher) Get(ctx context.Context, address string) (*Contract, error) {
	if err := CheckURL(address, f.loopback); err != nil {
		return nil, err
	}
	content, err := f.get(ctx, address)
	if err != nil {
		return nil, err
	}
	said, err := Parse(content)
	if err != nil {
		return nil, err
	}
	if err := f.Verify(ctx, said); errors.Is(err, ErrUnresolved) {
		return said, err
	} else if err != nil {
		return nil, err
	}
	return said, nil
}

// CheckURL refuses addresses that are never fetched: all but https, and http at loopback where that is permitted.
func CheckURL(address string, loopback bool) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return errors.New("it is no https address, without user and fragment")
	case u.Scheme == "https":
	case u.Scheme != "http" || !loopback || !serviceurl.IsLoopback(u.Hostname()):
		return errors.New("it must begin with https://")
	}
	return nil
}

func (f *Fetcher) get(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := f.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers with status %d", address, response.StatusCode)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxManifest+1))
	if err == nil && len(content) > maxManifest {
		err = fmt.Errorf("%s answers with more than %d bytes", address, maxManifest)
	}
	return content, err
}

// notPublic are the networks, besides those that netip knows by name, that lead into somebody's own network or hold an address of
// another family (IANA special-purpose address registries).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"), netip.MustParsePrefix("::/96"),
}

// checkAddress judges the address at the moment of connecting, after every name has been resolved: a name that answers with another
// address the second time changes nothing.
func checkAddress(address string, loopback bool) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%s is no address", address)
	}
	ip := parsed.Addr().Unmap()
	if ip.IsLoopback() && loopback {
		return nil
	}
	public := ip.IsGlobalUnicast() && !ip.IsPrivate() && ip.Zone() == ""
	for _, network := range notPublic {
		public = public && !network.Contains(ip)
	}
	if !public {
		return fmt.Errorf("%s is no public address", ip)
	}
	return nil
}
