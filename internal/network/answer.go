// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
)

// Issuer is an issuer of the Network.
type Issuer struct {
	// Name is what it calls itself, for people.
	Name string `json:"name"`

	// DID signs its credentials.
	DID string `json:"did"`

	// TenantID and ID name it to [Client.Types].
	TenantID string `json:"tenantId"`
	ID       string `json:"id"`

	// LinkedDomainURLs are the origins that it has shown to be its own, as https://host.
	LinkedDomainURLs []string `json:"linkedDomainUrls"`
}

// CredentialType is one kind of credential.
type CredentialType struct {
	// Name is for people.
	Name string `json:"name"`

	// Types are the names of the type; one of them is asked for.
	Types []string `json:"types"`

	// Claims are the names of its claims.
	Claims []string `json:"claims"`
}

// Asked is the type to ask for: the first one that not every credential has. Empty: none can stand in a config.
func (t CredentialType) Asked() string {
	for _, name := range t.Types {
		if name != "VerifiableCredential" && typePattern.MatchString(name) {
			return name
		}
	}
	return ""
}

var (
	idPattern   = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	didPattern  = regexp.MustCompile(`^did:[a-z0-9]+:[A-Za-z0-9._:%-]+$`)
	hostPattern = regexp.MustCompile(`^[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?$`)
	typePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,200}$`)
	wordPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

func validDID(did string) bool { return len(did) <= 2048 && didPattern.MatchString(did) }

var errAnswer = errors.New("what answers is not the Network API of the documents; is the option service right?")

// parseIssuers leaves out those without a DID and ids of the usual form, and of the others the domains without. One issuer that has
// got something odd into the Network must not hide the others.
func parseIssuers(content []byte) (found []Issuer, leftOut int, err error) {
	all, err := parseList[Issuer](content)
	for _, issuer := range all {
		if !validDID(issuer.DID) || !idPattern.MatchString(issuer.TenantID) || !idPattern.MatchString(issuer.ID) {
			leftOut++
			continue
		}
		issuer.Name = clean(issuer.Name)
		domains := []string{}
		for _, domain := range issuer.LinkedDomainURLs {
			if u, err := url.Parse(domain); err == nil && u.Scheme == "https" && u.User == nil && hostPattern.MatchString(u.Host) {
				domains = append(domains, "https://"+strings.ToLower(u.Host))
			}
		}
		issuer.LinkedDomainURLs = domains
		found = append(found, issuer)
	}
	return found, leftOut, err
}

func parseTypes(content []byte) ([]CredentialType, error) {
	all, err := parseList[CredentialType](content)
	for i := range all {
		all[i].Name = clean(all[i].Name)
		for _, words := range [][]string{all[i].Types, all[i].Claims} {
			for j := range words {
				words[j] = clean(words[j])
			}
		}
	}
	return all, err
}

// parseList reads a list, bare or as the member value. A member that stands there twice is refused, as is text that is no UTF-8.
func parseList[T any](content []byte) ([]T, error) {
	var list *[]T
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(content), []byte("[")) {
		err = jsonv2.Unmarshal(content, &list)
	} else {
		var answer struct {
			Value *[]T `json:"value"`
		}
		err = jsonv2.Unmarshal(content, &answer)
		list = answer.Value
	}
	if err != nil || list == nil {
		return nil, errAnswer
	}
	return *list, nil
}

// maxText bounds a text of others, in characters.
const maxText = 100

// clean makes a text of others one for a terminal: what does not print, and what changes the order of what does, is shown as "?".
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return '?'
	}, text)
	if runes := []rune(text); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return text
}

// newStatusError says with what status the service answered, and what of it Microsoft's support needs.
func newStatusError(status int, content []byte) error {
	var answer struct {
		RequestID string `json:"requestId"`
		Error     struct {
			InnerError struct {
				Code    string `json:"code"`
				Message string `json:"message"`
			} `json:"innererror"`
		} `json:"error"`
	}
	_ = jsonv2.Unmarshal(content, &answer) // what was read before a fault counts
	text := fmt.Sprintf("the Network API answered %d", status)
	if message := clean(answer.Error.InnerError.Message); message != "" {
		text += fmt.Sprintf(" (%s)", message)
	}
	switch {
	case status == http.StatusTooManyRequests || status >= http.StatusInternalServerError:
		text += "; try again later"
	case status < http.StatusBadRequest:
		text += "; is the option service right?"
	}
	if wordPattern.MatchString(answer.RequestID) {
		text += " [request " + answer.RequestID + "]"
	}
	return errors.New(text)
}
