// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

var (
	errDeep    = errors.New("nested too deep")
	errMembers = errors.New("too many members")
	errTwice   = errors.New("a member name occurs twice")
)

// token reads the next token. It bounds how many there are, so that no body of tiny values keeps the parser busy.
func (p *parser) token() (jsontext.Token, error) {
	if p.tokens++; p.tokens > maxTokens {
		return jsontext.Token{}, errMembers
	}
	token, err := p.decoder.ReadToken()
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return token, errTwice
	}
	if err != nil {
		return token, errSyntax
	}
	if p.decoder.StackDepth() > maxDepth {
		return token, errDeep
	}
	return token, nil
}

// value reads a value that is not an object or array.
func (p *parser) value() (jsontext.Value, error) {
	if p.tokens++; p.tokens > maxTokens {
		return nil, errMembers
	}
	value, err := p.decoder.ReadValue()
	if err != nil {
		return nil, errSyntax
	}
	return value, nil
}

// rawText reads a string.
func (p *parser) rawText() (string, error) {
	raw, err := p.value()
	if err != nil {
		return "", err
	}
	// Without the quotes. Longer ones may have been cut.
	if len(raw)-2 >= maxStringBytes {
		return "", errTooLong
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return "", errSyntax
	}
	return string(text), nil
}

// text reads a string that is a known member: not empty, or null, which is absent and "".
func (p *parser) text() (string, error) {
	switch p.decoder.PeekKind() {
	case 'n':
		return "", p.skip()
	case '"':
		text, err := p.rawText()
		if err == nil && text == "" {
			return "", errSyntax
		}
		return text, err
	default:
		return "", errSyntax
	}
}

// object reads an object and calls read for each member, which reads its value.
func (p *parser) object(read func(name string) error) error {
	if p.decoder.PeekKind() != '{' {
		return errSyntax
	}
	if _, err := p.token(); err != nil {
		return err
	}
	var room [16]string
	seen := room[:0]
	for p.decoder.PeekKind() != '}' {
		token, err := p.token()
		if err != nil {
			return err
		}
		name := token.String()
		if len(name) >= maxStringBytes {
			return errTooLong
		}
		if len(seen) == maxMembers {
			return errMembers
		}
		// Names that are equal in bytes, the decoder has refused.
		for _, other := range seen {
			if strings.EqualFold(name, other) {
				return errTwice
			}
		}
		seen = append(seen, name)
		if err := read(name); err != nil {
			return err
		}
	}
	_, err := p.token()
	return err
}

// optionalObject is object, or null, which is absent. present is called if it is an object; it may be nil.
func (p *parser) optionalObject(read func(name string) error, present func()) error {
	if p.decoder.PeekKind() == 'n' {
		return p.skip()
	}
	if present != nil {
		present()
	}
	return p.object(read)
}

// member reads an optional object of which one member is wanted.
func (p *parser) member(wanted string, read func() error) error {
	return p.optionalObject(func(name string) error {
		if name == wanted {
			return named(name, read())
		}
		return p.skip()
	}, nil)
}

// array reads an array and calls read for each element, or null, which is absent.
func (p *parser) array(limit int, read func() error) error {
	switch p.decoder.PeekKind() {
	case 'n':
		return p.skip()
	case '[':
	default:
		return errSyntax
	}
	if _, err := p.token(); err != nil {
		return err
	}
	for n := 0; p.decoder.PeekKind() != ']'; n++ {
		if n == limit {
			return errMembers
		}
		if err := read(); err != nil {
			return err
		}
	}
	_, err := p.token()
	return err
}

// skip reads any value and forgets it. The rules for names and depth hold in there too.
func (p *parser) skip() error {
	switch p.decoder.PeekKind() {
	case '{':
		return p.object(func(string) error { return p.skip() })
	case '[':
		return p.array(maxTokens, p.skip)
	default:
		_, err := p.value()
		return err
	}
}
