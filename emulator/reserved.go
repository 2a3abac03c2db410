// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// reservedSuffixes are the names that RFC 2606 and RFC 6761 keep out of the real DNS.
var reservedSuffixes = []string{".example", ".test", ".invalid", ".localhost", ".example.com", ".example.net", ".example.org"}

// isReserved says whether host, without port, can never be a real organisation's.
func isReserved(host string) bool {
	host = "." + strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(reservedSuffixes, func(suffix string) bool { return strings.HasSuffix(host, suffix) })
}

// isMicrosoft says whether host belongs to the service that is emulated.
func isMicrosoft(host string) bool {
	host = "." + strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc([]string{".msidentity.com", ".microsoftonline.com", ".microsoft.com"}, func(suffix string) bool {
		return strings.HasSuffix(host, suffix)
	})
}

// isLoopback says whether host, without port, can only be this machine.
func isLoopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}

// didWebHost returns the host of a did:web, or an error for any other DID and for hosts that could be real.
func didWebHost(did string) (string, error) {
	rest, ok := strings.CutPrefix(did, "did:web:")
	if !ok || strings.ContainsAny(did, "#?/ ") {
		return "", fmt.Errorf("DID %q is not a did:web", did)
	}
	host, _, _ := strings.Cut(rest, ":")
	host, err := url.PathUnescape(host)
	if err != nil {
		return "", fmt.Errorf("DID %q has an unreadable host", did)
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if !isReserved(name) {
		return "", fmt.Errorf("DID %q could be a real one: the emulator takes reserved names only, such as did:web:verifiedid.contoso.example", did)
	}
	return strings.ToLower(host), nil
}

// checkOrigin returns an origin in canonical form, without a slash at the end.
func checkOrigin(raw string, schemes ...string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	if !slices.Contains(schemes, u.Scheme) || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("not an origin of scheme %s, host and port only", strings.Join(schemes, " or "))
	}
	u.Path, u.Host = "", strings.ToLower(u.Host)
	return u, nil
}
