// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// checkRedirectURL accepts what a partner may send a visitor back to.
func checkRedirectURL(raw string, insecure bool) error {
	if _, err := checkURL(raw, insecure); err != nil {
		return fmt.Errorf("%w: redirect URL: %w", ErrKickstart, err)
	}
	if strings.Contains(raw, "#") {
		return fmt.Errorf("%w: redirect URL: it has a fragment; remove the # and what follows", ErrKickstart)
	}
	return nil
}

// checkURL returns the origin of a URL that Go and browsers read alike, or says what to change in it. The text of the
// errors is completed by the caller.
func checkURL(raw string, insecure bool) (origin string, err error) {
	if raw == "" {
		return "", errors.New("it is empty; write the https address agreed with the partner")
	}
	if len(raw) > maxURLBytes {
		return "", errors.New("it is longer than 2048 bytes; shorten it")
	}
	if !uriCharacters(raw) {
		return "", errors.New("it has a character that no URL may have; percent-encode blanks, quotes, backslashes, pipes and all that is not ASCII")
	}
	scheme, rest, found := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	if !found || scheme != "https" && scheme != "http" {
		return "", errors.New("it is not an absolute https URL; begin it with https://")
	}
	authority := rest[:len(rest)-len(strings.TrimLeft(rest, hostCharacters))]
	switch next := rest[len(authority):]; {
	case strings.Contains(next, "@") && !strings.ContainsAny(next[:strings.Index(next, "@")], "/?#"):
		return "", errors.New("it has user information before an @; remove it, browsers hide or refuse it")
	case next != "" && next[0] != '/' && next[0] != '?' && next[0] != '#':
		return "", errors.New("its host has a character that host names do not have; write it in ASCII (xn--…), without percent-encoding")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Opaque != "" || u.User != nil || !strings.EqualFold(u.Host, authority) {
		return "", errors.New("it is not a URL with a host that programs agree on; write it as https://host/path")
	}
	port, err := checkPort(u.Host, u.Port())
	if err != nil {
		return "", err
	}
	host := strings.ToLower(u.Hostname())
	if err := checkHost(host); err != nil {
		return "", err
	}
	if scheme == "http" && (!insecure || !isLoopback(host)) {
		return "", errors.New("it is http, which anybody on the way can read; write https:// (http is for loopback hosts with the insecure option only)")
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return scheme + "://" + host, nil
	}
	return scheme + "://" + host + ":" + port, nil
}

func checkPort(host, port string) (string, error) {
	if port == "" && !strings.HasSuffix(host, ":") {
		return "", nil
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return "", errors.New("its port is not a number from 1 to 65535; correct or remove it")
	}
	return strconv.FormatUint(number, 10), nil
}

// checkHost is about what url.Parse lets through; in brackets that is an IPv6 address only.
func checkHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.ContainsAny(label, ":[]") {
			return errors.New("its host is not a host name or an address; correct it")
		}
	}
	// Browsers read a host that ends in a number as an IPv4 address, in octal and hexadecimal too.
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return errors.New("its host ends in a number but is no IPv4 address; write all four numbers in decimal")
	}
	return nil
}

func isLoopback(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.IsLoopback()
	}
	host = strings.TrimSuffix(host, ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// hostCharacters are those of host names, addresses and ports.
const hostCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:[]"

// uriCharacters says whether s has the characters of RFC 3986 only.
func uriCharacters(s string) bool {
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] >= 0x7f || strings.IndexByte(`"<>\^`+"`{|}", s[i]) >= 0 {
			return false
		}
	}
	return true
}
