// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits of a callback body. The service documents 10 MB; a credential's photo makes up nearly all of it.
const (
	// MaxCallbackBytes is the longest callback body that is read.
	MaxCallbackBytes = 10 << 20

	maxDepth       = 32
	maxTokens      = 20_000
	maxMembers     = 256
	maxCredentials = 16
	maxTypes       = 32
	maxKeptBytes   = 64 << 10
)

// ParseCallback reads one callback of the Request Service from r, which is a JSON object of at most [MaxCallbackBytes]. It
// keeps the claims keep says yes to ([Requirement.NeededClaims]); photos, other claims, receipts and unknown members are
// skipped as they stream by, in constant memory. It does not judge: an unknown status is returned as it is.
//
// Refused with [ErrMalformedCallback]: more than one object; nesting deeper than 32; a member name that occurs twice in an
// object, also in another case, so that no two readers can disagree which one counts; invalid UTF-8; a known member of the wrong
// JSON type, or a known string that is empty; no request ID, status or state; a score that is not a finite number; more than any
// credential holds (256 members of an object, 16 credentials, 8 KiB a claim, 64 KiB of claims). A member that is null is
// absent.
//
// Claims are strings. Of other claims that are to be kept, a number or a boolean becomes its JSON text, byte for byte; null,
// an array or an object is as if the claim were absent.
//
// An error of r is returned as it is. Error texts hold names of known members and of kept claims, never what was sent.
func ParseCallback(r io.Reader, keep func(claim string) bool) (Callback, error) {
	short := newShortener(r, MaxCallbackBytes, maxStringBytes)
	p := parser{decoder: jsontext.NewDecoder(short), keep: keep}
	callback, err := p.callback()
	if err != nil {
		if short.err != nil {
			return Callback{}, short.err
		}
		return Callback{}, fmt.Errorf("%w: %w", ErrMalformedCallback, err)
	}
	callback.Digest = callback.digest()
	return callback, nil
}

// parser reads a callback. Its methods read one JSON value each.
type parser struct {
	decoder *jsontext.Decoder
	keep    func(claim string) bool
	tokens  int
	kept    int
}

// errSyntax replaces the decoder's errors, which quote the input.
var errSyntax = errors.New("not the JSON expected")

func (p *parser) callback() (Callback, error) {
	var c Callback
	var status string
	err := p.object(func(name string) (err error) {
		switch name {
		case "requestId":
			c.RequestID, err = p.text()
		case "requestStatus":
			status, err = p.text()
		case "state":
			c.State, err = p.text()
		case "subject":
			c.Subject, err = p.text()
		case "verifiedCredentialsData":
			c.Credentials, err = p.credentials()
		case "error":
			c.Error, err = p.error()
		default:
			return p.skip()
		}
		return named(name, err)
	})
	if err != nil {
		return Callback{}, err
	}
	c.Status = RequestStatus(status)
	switch {
	case c.RequestID == "":
		return Callback{}, errors.New("requestId is missing")
	case c.Status == "":
		return Callback{}, errors.New("requestStatus is missing")
	case c.State == "":
		return Callback{}, errors.New("state is missing")
	}
	if _, err := p.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return Callback{}, errors.New("something follows the object")
	}
	return c, nil
}

func (p *parser) error() (*CallbackError, error) {
	var e *CallbackError
	err := p.optionalObject(func(name string) (err error) {
		switch name {
		case "code":
			e.Code, err = p.text()
		default:
			return p.skip()
		}
		return named(name, err)
	}, func() { e = new(CallbackError) })
	return e, err
}

func (p *parser) credentials() ([]VerifiedCredential, error) {
	var credentials []VerifiedCredential
	err := p.array(maxCredentials, func() error {
		credential, err := p.credential()
		credentials = append(credentials, credential)
		return err
	})
	return credentials, err
}

func (p *parser) credential() (VerifiedCredential, error) {
	var c VerifiedCredential
	err := p.object(func(name string) (err error) {
		switch name {
		case "issuer":
			c.Issuer, err = p.text()
		case "type":
			c.Types, err = p.types()
		case "claims":
			c.Claims, err = p.claims()
		case "credentialState":
			err = p.member("revocationStatus", func() (err error) { c.RevocationStatus, err = p.text(); return err })
		case "domainValidation":
			err = p.member("url", func() (err error) { c.DomainURL, err = p.text(); return err })
		case "issuanceDate":
			c.IssuanceDate, err = p.text()
		case "expirationDate":
			c.ExpirationDate, err = p.text()
		case "faceCheck":
			err = p.member("matchConfidenceScore", func() (err error) { c.FaceCheck, err = p.score(); return err })
		default:
			return p.skip()
		}
		return named(name, err)
	})
	return c, err
}

func (p *parser) types() ([]string, error) {
	var types []string
	err := p.array(maxTypes, func() error {
		name, err := p.text()
		if err == nil && name == "" {
			return errSyntax
		}
		types = append(types, name)
		return err
	})
	return types, err
}

func (p *parser) claims() ([]Claim, error) {
	var claims []Claim
	err := p.optionalObject(func(name string) error {
		if p.keep == nil || !p.keep(name) {
			return p.skip()
		}
		value, ok, err := p.claim()
		if err != nil {
			return named(name, err)
		}
		if p.kept += len(value); p.kept > maxKeptBytes {
			return fmt.Errorf("kept claims together are %w", errTooLong)
		}
		if ok {
			claims = append(claims, Claim{Name: name, Value: value})
		}
		return nil
	}, nil)
	slices.SortFunc(claims, func(a, b Claim) int { return strings.Compare(a.Name, b.Name) })
	return claims, err
}

// claim reads a claim value; the rule is in the comment of [ParseCallback].
func (p *parser) claim() (value string, ok bool, err error) {
	switch p.decoder.PeekKind() {
	case '"':
		value, err = p.rawText()
		return value, err == nil, err
	case '0', 't', 'f':
		raw, err := p.value()
		return string(raw), err == nil, err
	default:
		return "", false, p.skip()
	}
}

// score reads a score. Null is no score.
func (p *parser) score() (*FaceCheckResult, error) {
	switch p.decoder.PeekKind() {
	case 'n':
		return nil, p.skip()
	case '0':
		raw, err := p.value()
		if err != nil {
			return nil, err
		}
		// ParseFloat reports what does not fit, where a decoder may round it to the largest number.
		score, err := strconv.ParseFloat(string(raw), 64)
		if err != nil {
			return nil, errSyntax
		}
		return &FaceCheckResult{Score: score}, nil
	default:
		return nil, errSyntax
	}
}

// named adds where an error is, once.
func named(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}
