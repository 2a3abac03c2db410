// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
)

var (
	namePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
	hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
	didPattern  = regexp.MustCompile(`^did:[a-z0-9]+:[A-Za-z0-9._:%-]+$`)

	// placeholderPattern is what operators mean to have replaced: {env.NAME}, {file./path}, {http.request.host}.
	placeholderPattern = regexp.MustCompile(`\{[A-Za-z_]+\.[^{}]+\}`)
	referencePattern   = regexp.MustCompile(`^\{(env|file)\.[^{}]+\}$`)
)

// optionError is the one form of complaint about a value: the option, what was written, and how to mend it.
func optionError(option, value, mend string) error {
	return fmt.Errorf("%s %q: %s", option, value, mend)
}

func validName(name string) bool { return namePattern.MatchString(name) }

func validHost(host string) bool {
	return hostPattern.MatchString(host) && !strings.Contains(host, "..")
}

func validDID(did string) bool { return len(did) <= 2048 && didPattern.MatchString(did) }

// literal refuses a placeholder where none is replaced: it would be taken word for word, and visitors would read it.
func literal(option, value string) error {
	if found := placeholderPattern.FindString(value); found != "" {
		return fmt.Errorf("%s: the placeholder %s is not replaced here; write the value itself, or {$NAME} for an environment variable", option, found)
	}
	return nil
}

// checkText guards a text that the wallet shows: bounded, printable, so that nothing can pose as another line.
func checkText(option, text string, atLeast, atMost int) error {
	length := utf8.RuneCountInString(text)
	switch {
	case length < atLeast:
		return fmt.Errorf("%s is missing", option)
	case length > atMost:
		return fmt.Errorf("%s has %d characters; at most %d are allowed", option, length, atMost)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%s has a control character; use plain printable text", option)
	}
	return literal(option, text)
}

// resolve replaces {env.*}, {file.*} and other global placeholders and fails on an unknown or empty one (TM-149).
// The error names the option and the placeholder, never a value.
func resolve(option, value string) (string, error) {
	out, err := caddy.NewReplacer().ReplaceOrErr(value, true, true)
	if err != nil {
		return "", fmt.Errorf("%s: %w; set the variable or make the file readable", option, err)
	}
	if out = strings.TrimRight(out, "\r\n"); strings.TrimSpace(out) == "" {
		return "", fmt.Errorf("%s is empty; put a value there, or remove the option", option)
	}
	return out, nil
}

// resolveSecret is resolve for a value that must not look like an example nor show in an error.
func resolveSecret(option, value string) (string, error) {
	out, err := resolve(option, value)
	switch {
	case err != nil && referencePattern.MatchString(value):
		return "", err
	case err != nil && strings.ContainsAny(value, "{}"): // the error would quote a part of the secret
		return "", fmt.Errorf("%s has braces but is no plain {env.NAME} or {file./path}; put it into one of these", option)
	case err != nil:
		return "", err
	case strings.Contains(strings.ToLower(out), "changeme"):
		return "", fmt.Errorf("%s still holds an example value; put the real one there", option)
	}
	return out, nil
}

// inline says whether a secret stands in the config itself instead of a reference, so that dumps would show it.
func inline(value string) bool { return value != "" && !placeholderPattern.MatchString(value) }

func lowered(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = strings.ToLower(s)
	}
	return out
}

var errNoCredential = errors.New("no credential is named and several are defined; write verified_id <credential>")
