// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-verified-id/caddy-verified-id/internal/serviceurl"
)

// option reads one option of a block; the dispenser stands on its name.
type option struct {
	read func(d *caddyfile.Dispenser) error
	// repeats permits the option more than once.
	repeats bool
	// block permits a block behind the option's arguments.
	block bool
	// secret keeps what is written out of error texts.
	secret bool
}

// readBlock reads the options of the block that the dispenser stands before. Unknown and repeated options, and surplus
// arguments, are errors that name the line.
func readBlock(d *caddyfile.Dispenser, what string, options map[string]option) error {
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		o, ok := options[name]
		switch {
		case !ok && len(options) == 0:
			return d.Errf("%s takes no options; remove %q", what, name)
		case !ok:
			return d.Errf("unrecognized option %q of %s; it knows %s", name, what, strings.Join(slices.Sorted(maps.Keys(options)), ", "))
		case seen[name] && !o.repeats:
			return d.Errf("option %q of %s is given twice; remove one", name, what)
		}
		seen[name] = true
		if err := o.read(d); err != nil {
			return err
		}
		if d.NextArg() {
			if o.secret {
				return d.Errf("option %q of %s has too many values; put a value with blanks into quotes", name, what)
			}
			return d.Errf("option %q of %s has the surplus argument %q; remove it", name, what, d.Val())
		}
		if !o.block && opensBlock(d) {
			return d.Errf("option %q of %s takes no block; remove the braces", name, what)
		}
	}
	return nil
}

// opensBlock says whether a block follows on the line, and steps into it.
func opensBlock(d *caddyfile.Dispenser) bool {
	value, line := d.Val(), d.Line()
	return d.NextBlock(d.Nesting()) || d.Val() != value || d.Line() != line // an empty block is stepped over
}

// here is a dispenser of the current token alone, for complaints about a block as a whole: after reading it, the other one
// stands on its closing brace.
func here(d *caddyfile.Dispenser) *caddyfile.Dispenser {
	out := caddyfile.NewDispenser([]caddyfile.Token{d.Token()})
	out.Next()
	return out
}

// oneArg takes exactly one argument, word for word.
func oneArg(into *string, checks ...func(string) error) option {
	return one(into, takeLiteral, checks)
}

// oneReference takes exactly one argument, in which placeholders are replaced when the config is loaded.
func oneReference(into *string, checks ...func(string) error) option {
	return one(into, takeReference, checks)
}

// taker reads the current argument of the option called name and complains with the line where a check fails.
type taker func(d *caddyfile.Dispenser, name string, into *string, checks []func(string) error) error

func one(into *string, take taker, checks []func(string) error) option {
	return option{read: func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.NextArg() {
			return d.Errf("option %q needs a value", name)
		}
		return take(d, name, into, checks)
	}}
}

// takeLiteral refuses placeholders, which would stay as they are.
func takeLiteral(d *caddyfile.Dispenser, name string, into *string, checks []func(string) error) error {
	notReplaced := func(value string) error { return literal("option "+strconv.Quote(name), value) }
	return takeChecked(d, name, into, append([]func(string) error{notReplaced}, checks...))
}

// takeReference leaves values with placeholders to be judged when the config is loaded.
func takeReference(d *caddyfile.Dispenser, name string, into *string, checks []func(string) error) error {
	if placeholderPattern.MatchString(d.Val()) {
		checks = nil
	}
	return takeChecked(d, name, into, checks)
}

func takeChecked(d *caddyfile.Dispenser, name string, into *string, checks []func(string) error) error {
	if *into = d.Val(); strings.TrimSpace(*into) == "" {
		return d.Errf("option %q has an empty value; write one, or remove the option", name)
	}
	for _, check := range checks {
		if err := check(*into); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

// args takes one argument or more, word for word, and adds to what is there.
func args(into *[]string, checks ...func(string) error) option {
	return several(into, takeLiteral, checks)
}

// references takes one argument or more, in which placeholders are replaced when the config is loaded.
func references(into *[]string, checks ...func(string) error) option {
	return several(into, takeReference, checks)
}

func several(into *[]string, take taker, checks []func(string) error) option {
	return option{repeats: true, read: func(d *caddyfile.Dispenser) error {
		name := d.Val()
		before := len(*into)
		for d.NextArg() {
			var value string
			if err := take(d, name, &value, checks); err != nil {
				return err
			}
			if i := slices.Index(*into, value); i >= 0 { // not the value: it may be a secret
				return d.Errf("option %q has the same value twice, as number %d and %d; remove one", name, i+1, len(*into)+1)
			}
			*into = append(*into, value)
		}
		if len(*into) == before {
			return d.Errf("option %q needs at least one value", name)
		}
		return nil
	}}
}

// flag takes no argument.
func flag(into *bool) option {
	return option{read: func(*caddyfile.Dispenser) error {
		*into = true
		return nil
	}}
}

// duration takes one duration, such as 90m or 2d. limit is the longest that makes sense; 0 is none.
func duration(into *caddy.Duration, limit time.Duration) option {
	return option{read: func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.NextArg() {
			return d.Errf("option %q needs a duration such as 15m", name)
		}
		parsed, err := caddy.ParseDuration(d.Val())
		if err != nil || parsed <= 0 {
			return d.Errf("option %q: %q is no duration above zero; write for example 15m or 8h", name, d.Val())
		}
		if limit > 0 && parsed > limit {
			return d.Errf("option %q: %s is too long; at most %s makes sense", name, d.Val(), caddyDuration(limit))
		}
		*into = caddy.Duration(parsed)
		return nil
	}}
}

// number takes one whole number above zero.
func number(into *int, checks ...func(int) error) option {
	return option{read: func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.NextArg() {
			return d.Errf("option %q needs a number", name)
		}
		parsed, err := strconv.Atoi(d.Val())
		if err != nil || parsed <= 0 {
			return d.Errf("option %q: %q is no whole number above zero; write for example 10", name, d.Val())
		}
		for _, check := range checks {
			if err := check(parsed); err != nil {
				return d.WrapErr(err)
			}
		}
		*into = parsed
		return nil
	}}
}

// fraction takes one number above zero.
func fraction(into *float64, checks ...func(float64) error) option {
	return option{read: func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.NextArg() {
			return d.Errf("option %q needs a number", name)
		}
		parsed, err := strconv.ParseFloat(d.Val(), 64)
		if err != nil || !(parsed > 0) {
			return d.Errf("option %q: %q is no number above zero; write for example 2 or 0.5", name, d.Val())
		}
		for _, check := range checks {
			if err := check(parsed); err != nil {
				return d.WrapErr(err)
			}
		}
		*into = parsed
		return nil
	}}
}

// block takes no argument and a block. check judges its options together.
func block(what string, options func() map[string]option, check func() error) option {
	return option{block: true, read: func(d *caddyfile.Dispenser) error {
		start := here(d)
		if d.NextArg() {
			return d.Errf("option %q takes a block only; remove %q", what, d.Val())
		}
		if err := readBlock(d, what, options()); err != nil {
			return err
		}
		if d.Line() == start.Line() {
			return start.Errf("option %q needs a block { … }", what)
		}
		if err := check(); err != nil {
			return start.WrapErr(err)
		}
		return nil
	}}
}

func checkDID(option string) func(string) error {
	return func(value string) error {
		if !validDID(value) {
			return optionError(option, value, "must be a DID, for example did:web:verifiedid.contoso.com")
		}
		return nil
	}
}

func checkTextOf(option string, limit int) func(string) error {
	return func(value string) error { return checkText(option, value, 1, limit) }
}

// checkBaseURL is for addresses of services: https, or http on loopback hosts, which the load judges once it knows the
// other options.
func checkBaseURL(option string) func(string) error {
	return func(value string) error {
		if _, err := serviceurl.Parse(value, true); err != nil {
			return optionError(option, value, "must be an https URL without user, query and fragment, for example https://login.example")
		}
		return nil
	}
}

func oneOf(option string, words ...string) func(string) error {
	return func(value string) error {
		if !slices.Contains(words, value) {
			return optionError(option, value, "must be one of "+strings.Join(words, ", "))
		}
		return nil
	}
}

// caddyDuration is a duration as operators write it: 24h, not 24h0m0s.
func caddyDuration(d time.Duration) string {
	text := strings.TrimSuffix(d.String(), "0s")
	if trimmed, ok := strings.CutSuffix(text, "h0m"); ok {
		return trimmed + "h"
	}
	return text
}
