// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// fields reads one JSON object of a request strictly: each member is asked for by name and type, and what was not
// asked for is an error. The first problem found is kept; later ones are not of interest to a caller.
type fields struct {
	path    string // "" or, for example, "callback."
	members map[string]jsontext.Value
	first   **serviceError
}

// readFields starts with a whole body. It refuses what is no JSON object, duplicate names and trailing bytes.
func readFields(body []byte) (fields, error) {
	f := fields{first: new(*serviceError)}
	if err := jsonv2.Unmarshal(body, &f.members); err != nil || f.members == nil {
		return f, badField("", "The request body is not a valid JSON object.")
	}
	return f, nil
}

func (f fields) fail(name, format string, args ...any) {
	if *f.first == nil {
		*f.first = badField(strings.TrimSuffix(f.path+name, "."), format, args...)
	}
}

// take removes a member and returns it. JSON null counts as absent, since serializers write it for unset fields.
func (f fields) take(name string) (jsontext.Value, bool) {
	value, ok := f.members[name]
	delete(f.members, name)
	return value, ok && value.Kind() != 'n'
}

func (f fields) missing(name string) {
	f.fail(name, "The request does not contain `%s`.", f.path+name)
}

// into decodes an optional member whose JSON kind must be one of kinds.
func (f fields) into(name, what string, kinds string, target any) (present bool) {
	value, ok := f.take(name)
	if !ok {
		return false
	}
	if !slices.Contains([]byte(kinds), byte(value.Kind())) || jsonv2.Unmarshal(value, target) != nil {
		f.fail(name, "The request contains `%s`, but it is not %s.", f.path+name, what)
		return false
	}
	return true
}

// text reads an optional string.
func (f fields) text(name string) string {
	var s string
	f.into(name, "string", `"`, &s)
	return s
}

// needText reads a string that must be there and not be empty.
func (f fields) needText(name string) string {
	s := f.text(name)
	if s == "" {
		f.missing(name)
	}
	return s
}

func (f fields) boolean(name string) bool {
	var b bool
	f.into(name, "boolean", "tf", &b)
	return b
}

// integer reads an optional whole number; 70.0 and 7e1 are not written as one.
func (f fields) integer(name string) (n int, present bool) {
	value, ok := f.take(name)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(string(value))
	if value.Kind() != '0' || err != nil {
		f.fail(name, "The request contains `%s`, but it is not integer.", f.path+name)
		return 0, false
	}
	return n, true
}

func (f fields) texts(name string) []string {
	var list []string
	f.into(name, "array of strings", "[", &list)
	return list
}

func (f fields) textMap(name string) map[string]string {
	var m map[string]string
	f.into(name, "map of strings", "{", &m)
	return m
}

// object goes into an optional member that is an object.
func (f fields) object(name string) (fields, bool) {
	inner := fields{path: f.path + name + ".", first: f.first}
	present := f.into(name, "object", "{", &inner.members)
	return inner, present
}

// needObject goes into an object that must be there.
func (f fields) needObject(name string) (fields, bool) {
	inner, ok := f.object(name)
	if !ok {
		f.missing(name)
	}
	return inner, ok
}

// objects goes into each element of an optional array of objects.
func (f fields) objects(name string) []fields {
	var elements []map[string]jsontext.Value
	f.into(name, "array of objects", "[", &elements)
	out := make([]fields, len(elements))
	for i, members := range elements {
		out[i] = fields{path: fmt.Sprintf("%s%s[%d].", f.path, name, i), members: members, first: f.first}
	}
	return out
}

// misplaced are members of other requests and of the preview of this API, with what to say about them.
var misplaced = map[string]string{
	"presentation":   "belongs to the preview of this API",
	"issuance":       "belongs to the preview of this API",
	"trustedIssuers": "belongs to the preview of this API; use acceptedIssuers",
	"manifestUrl":    "is not the name of this field; use manifest",
	"claims":         "belongs to createIssuanceRequest",
	"pin":            "belongs to createIssuanceRequest",
	"manifest":       "belongs to createIssuanceRequest",
	"expirationDate": "belongs to createIssuanceRequest",
}

// done reports members that nobody asked for.
func (f fields) done() {
	for _, name := range slices.Sorted(maps.Keys(f.members)) {
		why, ok := misplaced[name]
		if !ok {
			why = "is not known"
		}
		f.fail(name, "The request contains `%s`, which %s.", f.path+name, why)
	}
}

// err returns the first problem found.
func (f fields) err() error {
	if *f.first == nil {
		return nil
	}
	return *f.first
}
