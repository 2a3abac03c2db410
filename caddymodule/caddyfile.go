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
)

// option reads one option of a block; the dispenser stands on its name.
type option struct {
	read func(d *caddyfile.Dispenser) error
	// repeats permits the option more than once.
	repeats bool
	// block permits a block behind the option's arguments.
	block bool
}

// readBlock reads the options of the block that the dispenser stands before. Unknown and repeated options, and surplus
// arguments, are errors that name the line.
func readBlock(d *caddyfile.Dispenser, what string, options map[string]option) error {
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		o, ok := options[name]
		if !ok {
			return d.Errf("unrecognized option %q of %s; it knows %s", name, what, strings.Join(slices.Sorted(maps.Keys(options)), ", "))
		}
		if seen[name] && !o.repeats {
			return d.Errf("option %q of %s is given twice; remove one", name, what)
		}
		seen[name] = true
		if err := o.read(d); err != nil {
			return err
		}
		if d.NextArg() {
			return d.Errf("option %q of %s has the surplus argument %q", name, what, d.Val())
		}
		if !o.block && d.NextBlock(d.Nesting()) {
			return d.Errf("option %q of %s takes no block", name, what)
		}
	}
	return nil
}

// oneArg takes exactly one argument.
func oneArg(into *string, checks ...func(string) error) option {
	return option{read: func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.NextArg() {
			return d.Errf("option %q needs a value", name)
		}
		return take(d, into, checks)
	}}
}

// take reads the current argument and complains with the line where a check fails. Values with placeholders are judged
// when the config is loaded.
func take(d *caddyfile.Dispenser, into *string, checks []func(string) error) error {
	*into = d.Val()
	if strings.Contains(*into, "{") {
		return nil
	}
	for _, check := range checks {
		if err := check(*into); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

// args takes one argument or more, and adds to what is there.
func args(into *[]string, checks ...func(string) error) option {
	return option{repeats: true, read: func(d *caddyfile.Dispenser) error {
		name := d.Val()
		before := len(*into)
		for d.NextArg() {
			var value string
			if err := take(d, &value, checks); err != nil {
				return err
			}
			if slices.Contains(*into, value) {
				return d.Errf("option %q has %q twice; remove one", name, value)
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

// duration takes one duration, such as 90m or 2d.
func duration(into *caddy.Duration) option {
	return option{read: func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.NextArg() {
			return d.Errf("option %q needs a duration such as 15m", name)
		}
		parsed, err := caddy.ParseDuration(d.Val())
		if err != nil || parsed <= 0 {
			return d.Errf("option %q: %q is no duration above zero; write for example 15m or 8h", name, d.Val())
		}
		*into = caddy.Duration(parsed)
		return nil
	}}
}

// number takes one whole number above zero.
func number(into *int) option {
	return option{read: func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.NextArg() {
			return d.Errf("option %q needs a number", name)
		}
		parsed, err := strconv.Atoi(d.Val())
		if err != nil || parsed <= 0 {
			return d.Errf("option %q: %q is no whole number above zero", name, d.Val())
		}
		*into = parsed
		return nil
	}}
}

// fraction takes one number above zero.
func fraction(into *float64) option {
	return option{read: func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.NextArg() {
			return d.Errf("option %q needs a number", name)
		}
		parsed, err := strconv.ParseFloat(d.Val(), 64)
		if err != nil || !(parsed > 0) {
			return d.Errf("option %q: %q is no number above zero", name, d.Val())
		}
		*into = parsed
		return nil
	}}
}

// block takes no argument and a block.
func block(what string, options func() map[string]option) option {
	return option{block: true, read: func(d *caddyfile.Dispenser) error { return readBlock(d, what, options()) }}
}

func checkDID(value string) error {
	if !validDID(value) {
		return optionError("DID", value, "must look like did:web:verifiedid.contoso.com")
	}
	return nil
}

func oneOf(option string, words ...string) func(string) error {
	return func(value string) error {
		if !slices.Contains(words, value) {
			return optionError(option, value, "must be one of "+strings.Join(words, ", "))
		}
		return nil
	}
}

func atMost(option string, limit time.Duration, value caddy.Duration) error {
	if time.Duration(value) > limit {
		return optionError(option, time.Duration(value).String(), "must be at most "+limit.String())
	}
	return nil
}
