// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// ThisMachine refuses, with 403, whoever does not come from this machine, and whoever comes by
// a name that is not this machine's: the second keeps a web page from reaching the pages by
// pointing its own name here (DNS rebinding).
func ThisMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		remote, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil || !Loopback(remote) || !Loopback(hostOf(r.Host)) {
			SecurityHeaders(w.Header())
			http.Error(w, "The emulator answers this machine only.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Loopback tells whether a host name or address, without port, can only be this machine.
func Loopback(host string) bool {
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}
