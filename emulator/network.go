// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// How much the Network API tells at most.
const (
	maxNetworkIssuers = 15
	maxNetworkTypes   = 100
)

// networkIssuer is an issuer as the Network API tells it.
type networkIssuer struct {
	ID               string   `json:"id"`
	TenantID         string   `json:"tenantId"`
	DID              string   `json:"did"`
	Name             string   `json:"name"`
	LinkedDomainURLs []string `json:"linkedDomainUrls"`
}

// networkType is one kind of card that an issuer of the Network has published.
type networkType struct {
	Name   string   `json:"name"`
	Types  []string `json:"types"`
	Claims []string `json:"claims"`
}

// networkList is the form of all answers of the Network API.
type networkList[T any] struct {
	Value []T `json:"value"`
}

// NetworkID is the id of an authority in the Network API, beside that of its tenant.
func (a Authority) NetworkID() string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(a.DID)).String()
}

// serveNetworkIssuers searches for issuers by their linked domains.
func (e *Emulator) serveNetworkIssuers(w http.ResponseWriter, r *http.Request) error {
	if _, err := e.authorize(r, adminServiceApp, RoleNetworkRead); err != nil {
		return err
	}
	text, err := searchedDomain(r.URL.RawQuery)
	if err != nil {
		return err
	}
	found := networkList[networkIssuer]{Value: []networkIssuer{}}
	for _, a := range e.cast {
		if len(found.Value) < maxNetworkIssuers && a.DomainVerified && strings.Contains(strings.ToLower(a.LinkedDomain), text) {
			found.Value = append(found.Value, networkIssuer{
				ID: a.NetworkID(), TenantID: a.Tenant, DID: a.DID, Name: a.Name, LinkedDomainURLs: []string{a.LinkedDomain},
			})
		}
	}
	writeJSON(w, http.StatusOK, found)
	return nil
}

// searchedDomain reads the one filter there is: linkeddomainurls like <text>.
func searchedDomain(query string) (string, error) {
	values, err := url.ParseQuery(query)
	if err != nil || len(values) != 1 || len(values["filter"]) != 1 {
		return "", badField("filter", "The request does not contain a valid `filter`.")
	}
	words := strings.Split(values.Get("filter"), " ")
	if len(words) != 3 || !strings.EqualFold(words[0], "linkeddomainurls") || words[1] != "like" ||
		words[2] == "" || strings.ContainsAny(words[2], "'\"%()\x00\t\r\n") {
		return "", badField("filter", "The request contains `filter`, but it is not `linkeddomainurls like` and a part of a domain.")
	}
	return strings.ToLower(words[2]), nil
}

// serveNetworkTypes tells what one issuer has published.
func (e *Emulator) serveNetworkTypes(w http.ResponseWriter, r *http.Request) error {
	if _, err := e.authorize(r, adminServiceApp, RoleNetworkRead); err != nil {
		return err
	}
	if r.URL.RawQuery != "" {
		return badField("", "The request has a query, and there is none here.")
	}
	for _, a := range e.cast {
		if a.DomainVerified && strings.EqualFold(a.Tenant, r.PathValue("tenant")) && strings.EqualFold(a.NetworkID(), r.PathValue("id")) {
			writeJSON(w, http.StatusOK, e.networkTypes(a.DID))
			return nil
		}
	}
	return notFound("authority", "The authority was not found.")
}

func (e *Emulator) networkTypes(did string) networkList[networkType] {
	found := networkList[networkType]{Value: []networkType{}}
	for i := range e.cfg.Contracts {
		c := &e.cfg.Contracts[i]
		if c.Issuer != did || len(found.Value) == maxNetworkTypes {
			continue
		}
		published := networkType{Name: c.Display.Title, Types: []string{c.Type}, Claims: []string{}}
		for _, rule := range c.Claims {
			published.Claims = append(published.Claims, rule.Output)
		}
		found.Value = append(found.Value, published)
	}
	return found
}
