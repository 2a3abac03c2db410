// SPDX-License-Identifier: Apache-2.0

package claimheader

import (
	"fmt"
	"slices"
	"strings"
)

// reserved names, folded, and why nobody may put a claim there.
var reserved = map[string]string{
	"connection":          hopByHop,
	"keep-alive":          hopByHop,
	"proxy-connection":    hopByHop,
	"proxy-authenticate":  hopByHop,
	"proxy-authorization": hopByHop,
	"te":                  hopByHop,
	"trailer":             hopByHop,
	"upgrade":             hopByHop,
	"http2-settings":      hopByHop,
	"transfer-encoding":   frames,
	"content-length":      frames,
	"expect":              frames,
	"host":                "it decides which site answers",
	"cookie":              "it carries the visitor's other cookies",
	"set-cookie":          "it belongs to responses",
	"via":                 routes,
	"forwarded":           routes,
	"x-forwarded":         routes,
	"x-forwarded-for":     routes,
}

const (
	hopByHop = "it belongs to one connection, so the proxy drops it and the app would never see the claim"
	frames   = "it marks out the body of the request"
	routes   = "it says how the request travelled, not who sent it"
)

// forwardedIdentity are the only names below X-Forwarded- that mean a person. Apps made to stand behind oauth2-proxy and its
// like read them; no proxy writes them by itself.
var forwardedIdentity = []string{
	"x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username", "x-forwarded-user",
}

// CheckName returns an error, which says what to write in its place, unless name may carry a claim (TM-006). Only letters,
// digits and hyphens are allowed: every other character is one that some app reads as a hyphen. Names that steer the
// connection, frame the body or tell the route of a request are reserved, among them all of X-Forwarded-* but the four that
// mean a person (User, Email, Groups, Preferred-Username).
func CheckName(name string) error {
	if err := checkCharacters("header name", name); err != nil {
		return err
	}
	folded := Fold(name)
	if why, ok := reserved[folded]; ok {
		return fmt.Errorf("header name %q is reserved: %s; choose another, such as X-Verified-Id-Subject", name, why)
	}
	if strings.HasPrefix(folded, "x-forwarded-") && !slices.Contains(forwardedIdentity, folded) {
		return fmt.Errorf("header name %q is reserved: %s; below X-Forwarded- only User, Email, Groups and Preferred-Username are free",
			name, routes)
	}
	return nil
}

// CheckNames returns an error unless each name passes [CheckName] and no two are the same after folding: the app would see
// one value where the operator wrote two.
func CheckNames(names []string) error {
	seen := make(map[string]string, len(names))
	for _, name := range names {
		if err := CheckName(name); err != nil {
			return err
		}
		folded := Fold(name)
		if before, ok := seen[folded]; ok {
			return fmt.Errorf("header name %q is the same as %q; write one of them, or give them different names", name, before)
		}
		seen[folded] = name
	}
	return nil
}

// CheckPrefix returns an error unless prefix may stand before our header names. It is not empty, which would delete every
// header of every request, it has only letters, digits and hyphens, and it ends in a hyphen, so that X-User does not also
// take X-Username.
func CheckPrefix(prefix string) error {
	if err := checkCharacters("header prefix", prefix); err != nil {
		return err
	}
	if !strings.HasSuffix(prefix, "-") {
		return fmt.Errorf("header prefix %q does not end in a hyphen; write %q", prefix, prefix+"-")
	}
	for name := range reserved {
		if strings.HasPrefix(name, Fold(prefix)) {
			return fmt.Errorf("header prefix %q would delete %q; choose a longer one, such as X-Verified-Id-", prefix, name)
		}
	}
	return nil
}

// checkCharacters refuses an empty text and everything but letters, digits and hyphens with one letter or digit among them.
func checkCharacters(what, name string) error {
	if name == "" {
		return fmt.Errorf("%s is empty; write one, such as X-Verified-Id-Subject", what)
	}
	if strings.Trim(name, "-") == "" {
		return fmt.Errorf("%s %q has neither letter nor digit; write one such as X-Verified-Id-Subject", what, name)
	}
	for i := range len(name) {
		if c := name[i]; c != '-' && folded[c] == '-' {
			return fmt.Errorf("%s %q: %q is not allowed, because apps read it as a hyphen or not at all; write %q",
				what, name, c, mend(name))
		}
	}
	return nil
}

// mend returns name as the operator most likely meant it.
func mend(name string) string {
	out := []byte(name)
	for i, c := range out {
		if folded[c] == '-' {
			out[i] = '-'
		}
	}
	return string(out)
}
