// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// hosted is the beginning of the DIDs that Microsoft makes, in which tenant and authority follow.
const hosted = "did:web:verifiedid.entra.microsoft.com:"

// Resolve finds the issuer with exactly this DID, or exactly this linked domain, or these two ids, written tenant/id; of the
// latter it knows nothing else.
func (c *Client) Resolve(ctx context.Context, name string) (Issuer, error) {
	if tenant, id, ok := ids(name, "/"); ok {
		return Issuer{TenantID: tenant, ID: id}, nil
	}
	if strings.HasPrefix(name, "did:") {
		return c.resolveDID(ctx, name)
	}
	domain, err := domainPart(name)
	if err != nil || !strings.Contains(domain, ".") {
		return Issuer{}, fmt.Errorf("%q is neither a DID nor a whole domain, such as www.contoso.com, nor tenant/id of the search", name)
	}
	found, _, err := c.Search(ctx, domain)
	if err != nil {
		return Issuer{}, err
	}
	exact := slices.DeleteFunc(slices.Clone(found), func(i Issuer) bool { return !slices.Contains(i.LinkedDomainURLs, "https://"+domain) })
	switch {
	case len(exact) == 1:
		return exact[0], nil
	case len(exact) > 1:
		return Issuer{}, fmt.Errorf("%d issuers have the domain %s; give the tenant/id of one:%s", len(exact), domain, listed(exact))
	case len(found) > 0:
		return Issuer{}, fmt.Errorf("no issuer has exactly the domain %s. There are:%s", domain, listed(found))
	}
	return Issuer{}, fmt.Errorf("%w: none has the domain %s; issuers are there only if they want to be", ErrNotFound, domain)
}

// resolveDID searches for the DID's host, and the domains above it: the linked domain is often another one beside it.
func (c *Client) resolveDID(ctx context.Context, did string) (Issuer, error) {
	if !validDID(did) {
		return Issuer{}, fmt.Errorf("%q is no DID", did)
	}
	if rest, ok := strings.CutPrefix(did, hosted); ok {
		if tenant, id, ok := ids(rest, ":"); ok {
			return Issuer{DID: did, TenantID: tenant, ID: id}, nil
		}
	}
	host, ok := strings.CutPrefix(did, "did:web:")
	if !ok {
		return Issuer{}, errors.New("such a DID names no domain to search for; give the issuer's domain, or tenant/id of the search")
	}
	host, _, _ = strings.Cut(host, ":")
	if plain, err := url.PathUnescape(host); err == nil {
		host, _, _ = strings.Cut(plain, ":") // a port
	}
	for domain := host; strings.Contains(domain, "."); _, domain, _ = strings.Cut(domain, ".") {
		found, _, err := c.Search(ctx, domain)
		if err != nil {
			return Issuer{}, err
		}
		if i := slices.IndexFunc(found, func(i Issuer) bool { return i.DID == did }); i >= 0 {
			return found[i], nil
		}
	}
	return Issuer{}, fmt.Errorf("%w: none has this DID and a domain like %s. If its domain is another one, give that", ErrNotFound, host)
}

func ids(text, separator string) (tenant, id string, ok bool) {
	tenant, id, _ = strings.Cut(text, separator)
	return tenant, id, idPattern.MatchString(tenant) && idPattern.MatchString(id)
}

func listed(issuers []Issuer) string {
	var b strings.Builder
	for _, i := range issuers {
		fmt.Fprintf(&b, "\n  %s/%s  %s  %s", i.TenantID, i.ID, i.Name, strings.Join(i.LinkedDomainURLs, " "))
	}
	return b.String()
}
