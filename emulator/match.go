// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"regexp"
	"slices"
	"strings"
)

// readWanted turns the definitions into what people and the wallet page read.
func (o *Offer) readWanted() {
	checks := make(map[string]*FaceCheck)
	for _, definition := range o.definitions {
		for _, d := range definition.InputDescriptors {
			if of, check := d.faceCheck(); check != nil {
				checks[of] = check
			}
		}
	}
	for _, definition := range o.definitions {
		for _, d := range definition.InputDescriptors {
			if d.wantsLiveness() {
				continue
			}
			wanted := Wanted{Type: d.typeName(), Purpose: d.Purpose, FaceCheck: checks[d.ID], descriptor: d.ID}
			for _, field := range d.fields() {
				if field.Filter == nil {
					continue
				}
				if field.aboutIssuer() {
					wanted.Issuers = textsOf(field.Filter.Pattern)
					continue
				}
				wanted.Constraints = append(wanted.Constraints, field.claim()+" "+describe(field.Filter.Pattern))
			}
			wanted.Matching = o.matching(d)
			o.Wanted = append(o.Wanted, wanted)
		}
	}
}

// matching returns the cards that fit a descriptor. Those that have expired come last: the service will refuse them.
func (o *Offer) matching(d inputDescriptor) []Card {
	cards := slices.DeleteFunc(o.wallet.Cards(), func(c Card) bool { return !d.fits(c) })
	now := o.wallet.e.Now()
	expired := func(c Card) int {
		if now.After(c.ExpiresAt) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(cards, func(a, b Card) int { return expired(a) - expired(b) })
	return cards
}

func (d inputDescriptor) typeName() string {
	if len(d.Schema) == 0 {
		return ""
	}
	return d.Schema[0].URI
}

func (d inputDescriptor) fields() []descriptorField {
	if d.Constraints == nil {
		return nil
	}
	return d.Constraints.Fields
}

func (d inputDescriptor) wantsLiveness() bool { return d.typeName() == livenessType }

// faceCheck reads a liveness descriptor: which descriptor's card it is about, and what is wanted.
func (d inputDescriptor) faceCheck() (of string, check *FaceCheck) {
	if !d.wantsLiveness() {
		return "", nil
	}
	check = new(FaceCheck)
	for _, field := range d.fields() {
		if field.Filter == nil {
			continue
		}
		switch field.claim() {
		case "sourceDescriptor":
			of = field.Filter.Const
		case "sourcePhotoClaimName":
			check.PhotoClaim = field.Filter.Const
		case "matchConfidenceScore":
			check.Threshold = field.Filter.Minimum
		}
	}
	return of, check
}

// fits says whether the wallet would offer a card: type, issuer pattern and claim patterns.
func (d inputDescriptor) fits(card Card) bool {
	return card.Type == d.typeName() && !slices.ContainsFunc(d.fields(), func(f descriptorField) bool { return !f.fits(card) })
}

func (f descriptorField) aboutIssuer() bool { return slices.Contains(f.Path, issuerPath) }

// claim returns the name of the claim that the field is about.
func (f descriptorField) claim() string {
	for _, path := range f.Path {
		if name, ok := strings.CutPrefix(path, subjectPath); ok {
			return name
		}
	}
	return ""
}

// fits searches for the pattern without regard to case, as wallets do. Such a match is not a check of the issuer:
// the service compares again.
func (f descriptorField) fits(card Card) bool {
	value := card.Claims[f.claim()]
	if f.aboutIssuer() {
		value = card.Issuer
	}
	if f.Filter == nil {
		return value != ""
	}
	pattern, err := regexp.Compile("(?i)" + f.Filter.Pattern)
	return err == nil && value != "" && pattern.MatchString(value)
}

// textsOf is the inverse of [anyOf]. Any other pattern comes back as it is.
func textsOf(pattern string) []string {
	inner, begins := strings.CutPrefix(pattern, "^(?:")
	inner, ends := strings.CutSuffix(inner, ")$")
	if !begins || !ends {
		return []string{pattern}
	}
	var texts []string
	var current strings.Builder
	for i := 0; i < len(inner); i++ {
		switch {
		case inner[i] == '\\' && i+1 < len(inner):
			i++
			current.WriteByte(inner[i])
		case inner[i] == '|':
			texts = append(texts, current.String())
			current.Reset()
		default:
			current.WriteByte(inner[i])
		}
	}
	return append(texts, current.String())
}

// describe says in words what [constraint.pattern] wrote.
func describe(pattern string) string {
	if strings.HasPrefix(pattern, "^(?:") {
		return "is " + strings.Join(textsOf(pattern), " or ")
	}
	if start, ok := strings.CutPrefix(pattern, "^"); ok {
		return "begins with " + strings.ReplaceAll(start, `\`, "")
	}
	return "contains " + strings.ReplaceAll(pattern, `\`, "")
}
