// SPDX-License-Identifier: Apache-2.0

package claimheader

import (
	"net/http"
	"strings"
)

// HopByHop takes away from the client what would still change the headers after the gate has written them. It must run before
// them, on every request that goes on to an app.
//
//   - Connection names headers that the proxy has to delete: "Connection: close, X-Verified-Id-Subject" deletes the one the
//     gate has just set, and Cookie likewise. It is rebuilt from close, keep-alive and upgrade (TM-004).
//   - Keep-Alive and Proxy-Connection, which say the same in other words, are deleted (TM-004).
//   - Trailers are headers that come after the body, when nobody checks any more. They are dropped, and so is their
//     announcement (TM-005). r must be a copy of the request that net/http made, as Caddy's is: net/http writes trailers to
//     its own at the end of the body.
//   - Upgrade stays for WebSocket and other protocols, but not to another version of HTTP or to TLS: after "101 Switching
//     Protocols" to h2c the proxy passes bytes on unread, and the client could send the app requests that no gate has seen
//     (TM-112, TM-116).
//   - TE is reduced to "trailers", which asks for trailers in the response and which gRPC needs.
//
// A request without any of these costs some look-ups and no allocation.
func HopByHop(r *http.Request) {
	h := r.Header
	r.Trailer = nil
	delete(h, "Trailer")
	delete(h, "Keep-Alive")
	delete(h, "Proxy-Connection")

	if upgrade, ok := h["Upgrade"]; ok && !mayUpgrade(upgrade) {
		delete(h, "Upgrade")
		delete(h, "Http2-Settings")
	}
	if te, ok := h["Te"]; ok {
		reduceTE(h, te)
	}
	if connection, ok := h["Connection"]; ok {
		rebuildConnection(h, connection)
	}
}

// rebuildConnection keeps of the lines of Connection what the allow-list has. Upgrade is kept only beside an Upgrade header.
func rebuildConnection(h http.Header, lines []string) {
	_, upgrades := h["Upgrade"]
	var closes, keepsAlive, upgrade, others bool
	for _, line := range lines {
		for option := range strings.SplitSeq(line, ",") {
			switch option = strings.Trim(option, " \t"); {
			case strings.EqualFold(option, "close"):
				closes = true
			case strings.EqualFold(option, "keep-alive"):
				keepsAlive = true
			case upgrades && strings.EqualFold(option, "upgrade"):
				upgrade = true
			default:
				others = true
			}
		}
	}
	if len(lines) == 1 && !others {
		return
	}
	var kept []string
	if closes {
		kept = append(kept, "close")
	}
	if keepsAlive {
		kept = append(kept, "keep-alive")
	}
	if upgrade {
		kept = append(kept, "Upgrade")
	}
	if kept == nil {
		delete(h, "Connection")
		return
	}
	h["Connection"] = []string{strings.Join(kept, ", ")}
}

// mayUpgrade reports whether the lines of an Upgrade header name exactly one protocol, and not HTTP or TLS again.
func mayUpgrade(lines []string) bool {
	if len(lines) != 1 || strings.Contains(lines[0], ",") {
		return false
	}
	// Its version does not matter: "TLS/1.0", "HTTP/2.0".
	name, _, _ := strings.Cut(strings.Trim(lines[0], " \t"), "/")
	for _, refused := range []string{"", "http", "https", "h2c", "h2", "h3", "tls"} {
		if strings.EqualFold(name, refused) {
			return false
		}
	}
	return true
}

// reduceTE leaves "trailers" of the lines of a TE header, or deletes it.
func reduceTE(h http.Header, lines []string) {
	if len(lines) == 1 && lines[0] == "trailers" {
		return
	}
	for _, line := range lines {
		for coding := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(coding, " \t"), "trailers") {
				h["Te"] = []string{"trailers"}
				return
			}
		}
	}
	delete(h, "Te")
}
