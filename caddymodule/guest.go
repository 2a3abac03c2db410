// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// What follows is for guest modules, such as stores, so that their options are read and refused the way those of the app are.

// Option reads one option of a block in a Caddyfile.
type Option = option

// ReadBlock reads the options of the block that the dispenser stands before; what names the block in errors. Unknown and
// repeated options, surplus arguments and blocks are errors that name the line.
func ReadBlock(d *caddyfile.Dispenser, what string, options map[string]Option) error {
	return readBlock(d, what, options)
}

// OneArg takes exactly one argument, word for word: a placeholder is an error. The checks judge it.
func OneArg(into *string, checks ...func(string) error) Option { return oneArg(into, checks...) }

// OneReference takes exactly one argument, in which the load replaces placeholders; see [Resolve]. The checks judge one
// without placeholders.
func OneReference(into *string, checks ...func(string) error) Option {
	return oneReference(into, checks...)
}

// OneSecret is [OneReference] for what must not be repeated in errors; see [ResolveSecret].
func OneSecret(into *string) Option {
	o := oneReference(into)
	o.secret = true
	return o
}

// TwoReferences takes exactly two arguments, in which the load replaces placeholders.
func TwoReferences(first, second *string) Option {
	return Option{read: func(d *caddyfile.Dispenser) error {
		name := d.Val()
		for _, into := range []*string{first, second} {
			if !d.NextArg() {
				return d.Errf("option %q needs two values", name)
			}
			if err := takeReference(d, name, into, nil); err != nil {
				return err
			}
		}
		return nil
	}}
}

// References takes one argument or more, in which the load replaces placeholders, and adds to what is there.
func References(into *[]string, checks ...func(string) error) Option {
	return references(into, checks...)
}

// Flag takes no argument.
func Flag(into *bool) Option { return flag(into) }

// Number takes one whole number, 0 or above.
func Number(into *int, checks ...func(int) error) Option {
	return Option{read: func(d *caddyfile.Dispenser) error {
		name := d.Val()
		var text string
		return oneArg(&text, func(value string) error {
			parsed, err := strconv.Atoi(value)
			if err != nil || parsed < 0 {
				return fmt.Errorf("option %q: %q is no whole number; write for example 1", name, value)
			}
			for _, check := range checks {
				if err := check(parsed); err != nil {
					return err
				}
			}
			*into = parsed
			return nil
		}).read(d)
	}}
}

// Resolve replaces the placeholders {env.*} and {file.*} in the value of an option. What cannot be replaced, and what is
// empty then, is an error.
func Resolve(option, value string) (string, error) { return resolve(option, value) }

// ResolveSecret is [Resolve] for a secret: its errors do not quote it, and an example value is refused.
func ResolveSecret(option, value string) (string, error) { return resolveSecret(option, value) }

// Inline says whether a secret stands in the config itself instead of a reference, so that dumps would show it.
func Inline(value string) bool { return inline(value) }

// HasPlaceholder says whether the load replaces something in the value.
func HasPlaceholder(value string) bool { return placeholderPattern.MatchString(value) }

// ReadKeyFile reads a file with a private key, and refuses one that others of this machine may read (TM-147). groupReads
// permits its group, as the option group_readable_keys does.
func ReadKeyFile(path string, groupReads bool) ([]byte, error) { return readKeyFile(path, groupReads) }
