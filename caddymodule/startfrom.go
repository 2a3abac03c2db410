// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

// startsFrom says whether a verification for this gate may begin at the client's address, as Caddy determined it. An address
// that nobody can read is in no network (TM-043).
func (g *Gate) startsFrom(r *http.Request) bool {
	if len(g.networks) == 0 {
		return true
	}
	address, ok := clientAddress(r)
	return ok && slices.ContainsFunc(g.networks, func(network netip.Prefix) bool { return network.Contains(address) })
}

// outside says that nothing can be started from where the visitor is. From elsewhere the same visit goes on.
func (v *visitRequest) outside(token visit) {
	v.cannotStart(token, page.ProblemNetwork)
	v.log(zapcore.InfoLevel, "no verification started: the client's address is in no network of start_from")
}

func (g *Gate) provisionNetworks() error {
	for i, text := range g.StartFrom {
		if slices.Contains(g.StartFrom[:i], text) {
			return fmt.Errorf("start_from names %s twice", text)
		}
		network, err := parseNetwork(text)
		if err != nil {
			return err
		}
		g.networks = append(g.networks, network)
	}
	return nil
}

// parseNetwork reads an address or a CIDR. IPv4 in the clothes of IPv6 would match nothing, as clients are compared without.
func parseNetwork(text string) (netip.Prefix, error) {
	wrong := optionError("start_from", text, "must be an IP address or a network such as 10.0.0.0/8 or 2001:db8::/32; only in a Caddyfile also private_ranges")
	if !strings.Contains(text, "/") {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Is4In6() || address.Zone() != "" {
			return netip.Prefix{}, wrong
		}
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil || network.Addr().Is4In6() {
		return netip.Prefix{}, wrong
	}
	return network, nil
}

// readStartFrom reads networks; private_ranges stands for those that Caddy means by it.
func (g *Gate) readStartFrom(d *caddyfile.Dispenser) error {
	before := len(g.StartFrom)
	for _, word := range d.RemainingArgs() {
		networks := []string{word}
		if word == "private_ranges" {
			networks = caddyhttp.PrivateRangesCIDR()
		}
		for _, text := range networks {
			if _, err := parseNetwork(text); err != nil {
				return d.WrapErr(err)
			}
			if slices.Contains(g.StartFrom, text) {
				return d.Errf("start_from names %s twice; remove one", text)
			}
			g.StartFrom = append(g.StartFrom, text)
		}
	}
	if len(g.StartFrom) == before {
		return d.Err("start_from needs at least one network, for example: start_from private_ranges 203.0.113.0/24")
	}
	return nil
}
