// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// walked is a transaction after the events whose numbers are given. Moves that are not allowed change nothing.
func walked(numbers ...byte) verifier.Transaction {
	transaction, now := newTransaction(), at(time.Second)
	for _, number := range numbers {
		if e := events[int(number)%len(events)]; e.step != nil {
			now = e.step(now)
		} else {
			_ = e.move(&transaction, now)
		}
	}
	return transaction
}

func entryOf(t testing.TB, transaction verifier.Transaction) string {
	t.Helper()
	entry, err := json.Marshal(transaction)
	if err != nil {
		t.Fatal(err)
	}
	return string(entry)
}

// Numbers of events: requested, retrieved, verified, consumed.
var (
	toVerified = []byte{0, 2, 3}
	toConsumed = []byte{0, 2, 3, 10}
)

// Who can write into a shared store makes a result out of nothing, or another one than was stored: an entry that claims to be
// verified, one that two programs read differently, one without its end. TM-129.
func TestForgedStoreEntry(t *testing.T) {
	t.Parallel()
	created, verified, consumed := entryOf(t, walked(0)), entryOf(t, walked(toVerified...)), entryOf(t, walked(toConsumed...))
	replaced := func(entry, before, after string) string {
		if !strings.Contains(entry, before) {
			t.Fatalf("no %s in %s", before, entry)
		}
		return strings.Replace(entry, before, after, 1)
	}
	for name, entry := range forgedEntries(created, verified, consumed, replaced) {
		if got, err := verifier.DecodeTransaction([]byte(entry)); !errors.Is(err, verifier.ErrMalformedTransaction) || cmp.Diff(got, verifier.Transaction{}) != "" {
			t.Errorf("%s: DecodeTransaction = %+v, %v", name, got, err)
		} else if strings.Contains(err.Error(), "payroll") {
			t.Errorf("%s: the error quotes the entry: %v", name, err)
		}
	}
}

func forgedEntries(created, verified, consumed string, replaced func(entry, before, after string) string) map[string]string {
	return map[string]string{
		"nothing": "", "null": "null", "empty object": "{}", "a list": "[" + verified + "]", "a word": `"payroll"`,
		"cut":                        verified[:len(verified)-1],
		"more behind it":             verified + "{}",
		"a blank behind it":          verified + " ",
		"a blank before it":          " " + verified,
		"verified from nothing":      replaced(created, `"s":"created"`, `"s":"verified"`),
		"consumed from nothing":      replaced(created, `"s":"created"`, `"s":"consumed"`),
		"retrieved from nothing":     replaced(created, `"s":"created"`, `"s":"retrieved"`),
		"verified again":             replaced(consumed, `"s":"consumed"`, `"s":"verified"`),
		"created with a result":      replaced(verified, `"s":"verified"`, `"s":"created"`),
		"refused with a result":      replaced(verified, `"s":"verified"`, `"s":"refused"`),
		"unknown status":             replaced(created, `"s":"created"`, `"s":"approved"`),
		"status in capitals":         replaced(created, `"s":"created"`, `"s":"CREATED"`),
		"no status":                  replaced(created, `"s":"created",`, ``),
		"status twice":               replaced(created, `"s":"created"`, `"s":"verified","s":"created"`),
		"status in another case":     replaced(created, `"s":"created"`, `"s":"created","S":"created"`),
		"no presentation":            replaced(verified, `"p":{`, `"q":{`),
		"presentation null":          created[:len(created)-1] + `,"p":null}`,
		"presentation for a created": created[:len(created)-1] + `,"p":{"c":"","t":"","i":"","v":"2026-01-15T10:00:00Z","p":""}}`,
		"unknown member":             created[:len(created)-1] + `,"admin":true}`,
		"no state":                   replaced(created, `"st":"kR3m`, `"ST":"kR3m`),
		"empty ID":                   replaced(created, `"id":"8Jq0h3mQ2vYc1XoTzR5uLw"`, `"id":""`),
		"short digest":               replaced(verified, `"rd":"AQAA`, `"rd":"`),
		"no request":                 replaced(verified, `"rq":"r",`, ``),
		"verified at no time":        replaced(verified, `"vt":"`, `"vT":"`),
		"no session":                 replaced(consumed, `"si":"1"`, `"si":""`),
		"session too early":          verified[:len(verified)-1] + `,"si":"1"}`,
		"escaped name":               replaced(created, `"s":"created"`, `"\u0073":"created"`),
		"escaped value":              replaced(created, `"s":"created"`, `"s":"\u0063reated"`),
		"time of another zone":       replaced(created, `Z"`, `+00:00"`),
		"no text":                    replaced(created, `"g":"payroll"`, "\"g\":\"\xff\""),
	}
}

// FuzzStoreEntry: what a shared store keeps comes back as it was, whatever happened to the transaction; anything else is refused
// or is byte for byte what a transaction writes, and gives a session only where something was presented.
func FuzzStoreEntry(f *testing.F) {
	for first := range byte(12) {
		for second := range byte(3) {
			f.Add([]byte(entryOf(f, walked(0, 2, first, second+9))), []byte{first, second})
		}
	}
	created, verified, consumed := entryOf(f, walked(0)), entryOf(f, walked(toVerified...)), entryOf(f, walked(toConsumed...))
	for _, entry := range forgedEntries(created, verified, consumed, func(entry, before, after string) string {
		return strings.Replace(entry, before, after, 1)
	}) {
		f.Add([]byte(entry), toConsumed)
	}
	f.Fuzz(func(t *testing.T, entry, sequence []byte) {
		want := walked(sequence[:min(len(sequence), 64)]...)
		again, err := verifier.DecodeTransaction([]byte(entryOf(t, want)))
		if diff := cmp.Diff(want, again); err != nil || diff != "" {
			t.Fatalf("after the events %v: %v\n%s", sequence, err, diff)
		}
		got, err := verifier.DecodeTransaction(entry)
		if err != nil {
			if !errors.Is(err, verifier.ErrMalformedTransaction) || cmp.Diff(got, verifier.Transaction{}) != "" {
				t.Fatalf("DecodeTransaction(%q) = %+v, %v", entry, got, err)
			}
			return
		}
		if written := entryOf(t, got); written != string(entry) {
			t.Fatalf("%q is written as %q", entry, written)
		}
		for _, now := range []time.Time{got.VerifiedAt, got.ConsumedAt, fixtureNow} {
			after := got
			if session, err := after.Consume("a session", now); err == nil && (session == "" || after.Presentation == nil || len(after.ResultDigest) != 32) {
				t.Fatalf("%q gives the session %q with nothing presented", entry, session)
			}
		}
	})
}
