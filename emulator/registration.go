// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// callbackTarget is where a relying party wants to hear of a request.
type callbackTarget struct {
	url     string
	state   string
	headers map[string]string
}

// registration is what a relying party says about itself.
type registration struct {
	clientName, purpose, logoURL, termsURL string
}

// readBody checks the media type and reads the members of a request body.
func readBody(r *http.Request) (fields, error) {
	if mediaType(r) != "application/json" {
		return fields{}, &serviceError{status: http.StatusUnsupportedMediaType}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fields{}, badField("", "The request body is not readable.")
	}
	return readFields(body)
}

func mediaType(r *http.Request) string {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// readAuthority reads the DID in whose name the request is made. It must belong to the tenant of the access token.
func (e *Emulator) readAuthority(f fields, tenant string) *authority {
	a, ok := e.authorities[f.text("authority")]
	if !ok || a.Tenant != tenant {
		f.fail("authority", "The request does not contain a valid authority DID.")
	}
	return a
}

func readRegistration(f fields) (out registration) {
	in, ok := f.needObject("registration")
	if !ok {
		return out
	}
	out = registration{
		clientName: in.needText("clientName"), purpose: in.text("purpose"),
		logoURL: in.text("logoUrl"), termsURL: in.text("termsOfServiceUrl"),
	}
	for _, link := range [][2]string{{"logoUrl", out.logoURL}, {"termsOfServiceUrl", out.termsURL}} {
		if link[1] == "" {
			continue
		}
		if _, err := absoluteURL(link[1]); err != nil {
			in.fail(link[0], "The request contains `%s`, but it is not a URL.", in.path+link[0])
		}
	}
	in.done()
	return out
}

func (e *Emulator) readCallback(f fields) (out callbackTarget) {
	in, ok := f.needObject("callback")
	if !ok {
		return out
	}
	out = callbackTarget{url: in.needText("url"), state: in.needText("state"), headers: in.textMap("headers")}
	if why := e.callbackProblem(out.url); why != "" {
		in.fail("url", "The callback URL is unreadable: %s", why)
	}
	for _, name := range slices.Sorted(maps.Keys(out.headers)) {
		switch {
		case !strings.EqualFold(name, "api-key") && !strings.EqualFold(name, "Authorization"):
			in.fail("headers", "The request contains an invalid callback header `%s`. Only api-key and Authorization are allowed.", name)
		case !httpguts.ValidHeaderFieldValue(out.headers[name]):
			in.fail("headers", "The request contains an invalid value of the callback header `%s`.", name)
		}
	}
	in.done()
	return out
}

// callbackProblem says why callbacks cannot be sent to raw. The real service wants https; so does the emulator
// except towards this machine, where nobody has a certificate.
func (e *Emulator) callbackProblem(raw string) string {
	if raw == "" {
		return ""
	}
	u, err := absoluteURL(raw)
	switch {
	case err != nil:
		return "it is not an absolute URL."
	case u.User != nil || u.Fragment != "":
		return "it must not hold credentials or a fragment."
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return ""
	case u.Scheme == "http" && !e.cfg.AllowNonLoopback:
		return "it must use https, or http towards this machine."
	case !e.cfg.AllowNonLoopback && !isLoopback(u.Hostname()):
		return "the emulator calls back this machine only."
	default:
		return ""
	}
}

// absoluteURL parses an http or https URL with a host.
func absoluteURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("parsing URL: %w", err)
	}
	if u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("parsing URL: not an absolute http or https URL")
	}
	return u, nil
}
