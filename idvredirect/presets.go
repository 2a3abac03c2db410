// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"bytes"
	_ "embed" // the table
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// presetTable is what is published about the partners of Microsoft's gallery, each fact with its source and date. Facts
// change there and not here.
//
//go:embed presets.json
var presetTable []byte

// Preset is what is published about an IDV partner, to fill in what an operator left out, and to say what only the partner
// can tell. No preset has a start URL, an OrgId or an issuer's DID: no partner publishes them. Nor does one say which claim
// set the partner accepts.
type Preset struct {
	// Name is the word an operator writes, such as "au10tix"; Aliases are other words for the same.
	Name    string
	Aliases []string

	// DisplayName is the partner's own spelling, for pages.
	DisplayName string

	// CredentialType is the type of the credential it issues, where one is published. Another product of the same partner may
	// issue another type.
	CredentialType Fact

	// PhotoClaim is the claim of that type with the photo for Face Check, where it is published.
	PhotoClaim Fact

	// Manifest is the published address of the contract, whose signed content says the issuer's DID. Contracts change: it is
	// to be offered to the operator, never to be used unasked.
	Manifest Fact

	// Issuing says in whose tenant credentials are issued: [IssuingOwn], [IssuingCustomer], [IssuingManaged], or nothing.
	Issuing Fact

	// Claims are the claims that credentials of the type may have, and ClaimsSource says who says so. Not every partner fills
	// every one. Nil: not published.
	Claims       []string
	ClaimsSource Source

	// Notes are what else is published and helps to set the partner up.
	Notes []Fact

	contact string
	ask     map[string]string
}

// Values of [Preset.Issuing].
const (
	IssuingOwn      = "own"      // the partner's tenant, under the partner's DID
	IssuingCustomer = "customer" // the relying party's tenant, under its own DID
	IssuingManaged  = "managed"  // a tenant that the partner runs for the customer
)

// Fact is something published. The zero value is something that is not.
type Fact struct {
	Value  string
	Source Source
}

// Source is who published a fact, and when: a day or month, or that it has no date.
type Source struct {
	Title string `json:"title"`
	Date  string `json:"date"`
}

// AskFor is what only the partner can tell: the option it is for, and the words to ask with.
type AskFor struct{ Option, Words string }

// askable are the options that the partner's answers fill, in the order of a set-up.
var askable = []string{"url", "org_id", "type", "issuer", "photo_claim", "claims"}

// Unpublished lists what the operator has to get from the partner, in the order of a set-up: always the options url, org_id
// and issuer; type, photo_claim and claims where they are not published.
func (p Preset) Unpublished() []AskFor {
	var out []AskFor
	for _, option := range askable {
		if words := p.Ask(option); words != "" {
			out = append(out, AskFor{option, words})
		}
	}
	return out
}

// Ask says in a sentence without a full stop what to ask whom for, to fill the option: one of those of [Preset.Unpublished].
// Empty: it is published.
func (p Preset) Ask(option string) string {
	switch {
	case option == "type" && p.CredentialType.Value != "",
		option == "photo_claim" && p.PhotoClaim.Value != "",
		option == "claims" && p.Claims != nil,
		p.ask[option] == "":
		return ""
	}
	if own, ok := strings.CutPrefix(p.ask[option], "nothing: "); ok {
		return own
	}
	return fmt.Sprintf("%s does not publish it: ask %s for %s", p.DisplayName, p.contact, p.ask[option])
}

var presets = sync.OnceValue(func() []Preset {
	all, err := readPresets(presetTable)
	if err != nil {
		panic("idvredirect: internal error: presets.json: " + err.Error()) // it is part of the program, and tested
	}
	return all
})

// Presets returns the known partners in the order of their names. The caller owns the result.
func Presets() []Preset {
	all := slices.Clone(presets())
	for i := range all {
		all[i] = all[i].clone()
	}
	return all
}

// FindPreset returns the preset of that name or alias.
func FindPreset(name string) (Preset, bool) {
	for _, preset := range presets() {
		if preset.Name == name || slices.Contains(preset.Aliases, name) {
			return preset.clone(), true
		}
	}
	return Preset{}, false
}

// clone leaves ask shared: nobody outside can reach it.
func (p Preset) clone() Preset {
	p.Aliases, p.Claims, p.Notes = slices.Clone(p.Aliases), slices.Clone(p.Claims), slices.Clone(p.Notes)
	return p
}

// The shape of presets.json. Facts name their source by its key.
type (
	tableFact struct {
		Value  string `json:"value"`
		Source string `json:"source"`
	}
	tableClaims struct {
		Values []string `json:"values"`
		Source string   `json:"source"`
	}
	tableType struct {
		PhotoClaim tableFact   `json:"photo_claim"`
		Claims     tableClaims `json:"claims"`
	}
	tablePartner struct {
		Name        string            `json:"name"`
		Aliases     []string          `json:"aliases"`
		DisplayName string            `json:"display_name"`
		Contact     string            `json:"contact"`
		Type        tableFact         `json:"type"`
		Manifest    tableFact         `json:"manifest"`
		Issuing     tableFact         `json:"issuing"`
		Ask         map[string]string `json:"ask"` // in place of the general words; "nothing: …" if the operator knows it
		Notes       []tableFact       `json:"notes"`
	}
	table struct {
		Sources  map[string]Source    `json:"sources"`
		Ask      map[string]string    `json:"ask"`
		Types    map[string]tableType `json:"types"`
		Partners []tablePartner       `json:"partners"`
	}
)

func readPresets(text []byte) ([]Preset, error) {
	var t table
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&t); err != nil {
		return nil, err
	}
	all := make([]Preset, len(t.Partners))
	for i, in := range t.Partners {
		var err error
		if all[i], err = t.preset(in); err != nil {
			return nil, fmt.Errorf("%s: %w", in.Name, err)
		}
	}
	return all, nil
}

func (t *table) preset(in tablePartner) (Preset, error) {
	p := Preset{
		Name: in.Name, Aliases: in.Aliases, DisplayName: in.DisplayName, contact: in.Contact,
		ask: make(map[string]string, len(askable)),
	}
	for _, option := range askable {
		if p.ask[option] = in.Ask[option]; p.ask[option] == "" {
			p.ask[option] = t.Ask[option]
		}
	}
	kind, known := t.Types[in.Type.Value]
	if !known && in.Type.Value != "" {
		return p, fmt.Errorf("the type %s is not among the types", in.Type.Value)
	}
	var claims Fact // who lists them; the list itself is no text
	for _, fact := range []struct {
		from tableFact
		into *Fact
	}{
		{in.Type, &p.CredentialType},
		{in.Manifest, &p.Manifest},
		{in.Issuing, &p.Issuing},
		{kind.PhotoClaim, &p.PhotoClaim},
		{tableFact{strings.Join(kind.Claims.Values, " "), kind.Claims.Source}, &claims},
	} {
		var err error
		if *fact.into, err = t.fact(fact.from); err != nil {
			return p, err
		}
	}
	p.Claims, p.ClaimsSource = kind.Claims.Values, claims.Source
	for _, note := range in.Notes {
		fact, err := t.fact(note)
		if err != nil {
			return p, err
		}
		p.Notes = append(p.Notes, fact)
	}
	return p, nil
}

// fact refuses what says nothing and what nobody says.
func (t *table) fact(in tableFact) (Fact, error) {
	if in == (tableFact{}) {
		return Fact{}, nil
	}
	source, known := t.Sources[in.Source]
	if in.Value == "" || !known {
		return Fact{}, fmt.Errorf("%q has no known source, but %q", in.Value, in.Source)
	}
	return Fact{in.Value, source}, nil
}
