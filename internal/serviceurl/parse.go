// SPDX-License-Identifier: Apache-2.0

package serviceurl

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// Parse returns the base URL of a service: https, with a host, without user, query and fragment. With insecureHTTP it may be http if
// its host is this machine; see [IsLoopback]. Errors do not quote the address, which may hold a password.
func Parse(raw string, insecureHTTP bool) (*url.URL, error) {
	service, err := url.Parse(raw)
	switch {
	case err != nil || service.Host == "" || service.User != nil || service.RawQuery != "" || service.Fragment != "":
		return nil, errors.New("service URL is not a base URL")
	case service.Scheme == "https":
		return service, nil
	case service.Scheme == "http" && insecureHTTP && IsLoopback(service.Hostname()):
		return service, nil
	}
	return nil, errors.New("service URL is not https")
}

// IsLoopback says whether a host, without port and brackets, is this machine: localhost in any case, or a loopback address. Names
// below localhost are not, since not every resolver keeps them here.
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}
