// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// published returns which of the test keys are in the set at a time, as a string such as "01".
func published(t *testing.T, set *idvredirect.KeySet, at time.Time) string {
	t.Helper()
	keys, err := idvredirect.ParseJWKS(set.JWKS(at))
	if err != nil {
		t.Fatalf("ParseJWKS(JWKS(%v)) = %v", at, err)
	}
	var found string
	for i, name := range "0123" {
		if keys[signingKey(i).KeyID()] != nil {
			found += string(name)
			delete(keys, signingKey(i).KeyID())
		}
	}
	if len(keys) > 0 {
		t.Fatalf("JWKS(%v) has a key that nobody put in", at)
	}
	return found
}

// signs returns which of the test keys signs at a time.
func signs(t *testing.T, set *idvredirect.KeySet, at time.Time) string {
	t.Helper()
	for i, name := range "0123" {
		if set.Signing(at).KeyID() == signingKey(i).KeyID() {
			return string(name)
		}
	}
	t.Fatalf("Signing(%v) is a key that nobody put in", at)
	return ""
}

func newKeySet(t *testing.T, now time.Time, keys ...int) *idvredirect.KeySet {
	t.Helper()
	signing := make([]*idvredirect.SigningKey, len(keys))
	for i, key := range keys {
		signing[i] = signingKey(key)
	}
	set, err := idvredirect.NewKeySet(now, signing...)
	if err != nil {
		t.Fatalf("NewKeySet = %v", err)
	}
	return set
}

func rotate(t *testing.T, set *idvredirect.KeySet, now time.Time, key int) *idvredirect.KeySet {
	t.Helper()
	next, err := set.Rotate(now, signingKey(key))
	if err != nil {
		t.Fatalf("Rotate = %v", err)
	}
	return next
}

// TM-093: a partner caches the key set for an hour. If a new key signed at once, the partner would refuse the visitors of
// that hour; if the old key went at once, it would refuse those on their way. The timeline of one rotation, to the second.
func TestRotationTimeline(t *testing.T) {
	t.Parallel()
	const (
		delay = idvredirect.JWKSMaxAge + idvredirect.KeySetSpread
		keep  = idvredirect.MaxLifetime + idvredirect.JWKSMaxAge + idvredirect.KeySetSpread
	)
	start := fixtureTime
	set := newKeySet(t, start, 0)
	turn := start.Add(90 * 24 * time.Hour)
	set = rotate(t, set, turn, 1)

	for _, test := range []struct {
		name      string
		at        time.Time
		signs     string
		published string
	}{
		{"clock behind at birth", start.Add(-time.Minute), "0", "0"},
		{"birth: the first key signs at once", start, "0", "0"},
		{"before the rotation", turn.Add(-time.Second), "0", "0"},
		{"rotation: published, not used", turn, "0", "01"},
		{"last second of the old key", turn.Add(delay - time.Second), "0", "01"},
		{"first second of the new key", turn.Add(delay), "1", "01"},
		{"last second the old key is published", turn.Add(delay + keep - time.Second), "1", "01"},
		{"the old key is gone", turn.Add(delay + keep), "1", "1"},
		{"ten years on", turn.Add(10 * 365 * 24 * time.Hour), "1", "1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := signs(t, set, test.at); got != test.signs {
				t.Errorf("Signing = key %s, want %s", got, test.signs)
			}
			if got := published(t, set, test.at); got != test.published {
				t.Errorf("JWKS = keys %s, want %s", got, test.published)
			}
		})
	}
}

// TM-093: the same as a property over three rotations, the last two in quick succession. A partner who fetched the set at
// any time up to an hour before (and from a node up to five minutes late) knows the key that signs now; and at any time
// in a token's life, and for an hour after, the set has the key that signed it.
func TestEveryTokenMeetsItsKey(t *testing.T) {
	t.Parallel()
	start := fixtureTime
	turns := [4]time.Time{start, start.Add(24 * time.Hour), start.Add(48 * time.Hour), start.Add(48*time.Hour + 10*time.Minute)}
	history := [4]*idvredirect.KeySet{newKeySet(t, start, 0)}
	for i := 1; i < len(turns); i++ {
		history[i] = rotate(t, history[i-1], turns[i], i)
	}
	// known is what a node knows at a time, when it hears of rotations late.
	known := func(at time.Time, late time.Duration) *idvredirect.KeySet {
		latest := history[0]
		for i, turn := range turns {
			if !at.Add(-late).Before(turn) {
				latest = history[i]
			}
		}
		return latest
	}
	for at := start; at.Before(start.Add(60 * time.Hour)); at = at.Add(97 * time.Second) {
		signer := signs(t, known(at, 0), at)
		if late := signs(t, known(at, idvredirect.KeySetSpread), at); late != signer {
			t.Fatalf("at +%v one node signs with key %s, another with %s", at.Sub(start), signer, late)
		}
		fetched := at.Add(-idvredirect.JWKSMaxAge)
		if fetched.Before(start) {
			fetched = start
		}
		if got := published(t, known(fetched, idvredirect.KeySetSpread), fetched); !strings.Contains(got, signer) {
			t.Fatalf("at +%v key %s signs, a set cached an hour ago has %s", at.Sub(start), signer, got)
		}
		end := at.Add(idvredirect.MaxLifetime + idvredirect.JWKSMaxAge)
		if got := published(t, known(end, 0), end); !strings.Contains(got, signer) {
			t.Fatalf("key %s signed at +%v, the set at +%v has %s", signer, at.Sub(start), end.Sub(start), got)
		}
	}
}

// Rotating drops keys past their time. What is left must answer as before, or nodes with the older state would differ.
func TestRotateForgetsOnlyThePast(t *testing.T) {
	t.Parallel()
	start := fixtureTime
	first := rotate(t, newKeySet(t, start, 0, 3), start.Add(time.Hour), 1)
	turn := start.Add(100 * time.Hour)
	second := rotate(t, first, turn, 2)
	for at := turn; at.Before(turn.Add(time.Hour)); at = at.Add(time.Minute) {
		if got, want := signs(t, second, at), signs(t, first, at); got != want {
			t.Errorf("at +%v key %s signs, want %s", at.Sub(turn), got, want)
		}
		if got := published(t, second, at); got != "123" {
			t.Errorf("at +%v keys %s are published, want 123", at.Sub(turn), got)
		}
	}
	state, err := json.Marshal(second)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(state), "BEGIN PRIVATE KEY"); n != 3 {
		t.Errorf("the state holds %d keys, want 3", n)
	}
}

// A node whose clock was set back rotates. The retired key must not sign again after the new one.
func TestRotateWithClockSetBack(t *testing.T) {
	t.Parallel()
	set := rotate(t, newKeySet(t, fixtureTime, 0), fixtureTime.Add(time.Hour), 1)
	set = rotate(t, set, fixtureTime.Add(-100*time.Hour), 2)
	if got := signs(t, set, fixtureTime.Add(1000*time.Hour)); got != "2" {
		t.Errorf("Signing = key %s in the end, want 2", got)
	}
	var order []string
	for at := fixtureTime; at.Before(fixtureTime.Add(5 * time.Hour)); at = at.Add(time.Second) {
		if got := signs(t, set, at); len(order) == 0 || order[len(order)-1] != got {
			order = append(order, got)
		}
	}
	if got := strings.Join(order, ""); got != "012" {
		t.Errorf("the keys sign in the order %s, want 012", got)
	}
}

func TestRotationDue(t *testing.T) {
	t.Parallel()
	const every = 30 * 24 * time.Hour
	set := newKeySet(t, fixtureTime, 0)
	due := fixtureTime.Add(every)
	if set.RotationDue(due.Add(-time.Second), every) {
		t.Error("RotationDue = true a second early")
	}
	if !set.RotationDue(due, every) {
		t.Error("RotationDue = false in time")
	}
	// A node that comes a moment later must not rotate again, although the new key does not sign yet.
	if rotate(t, set, due, 1).RotationDue(due.Add(time.Second), every) {
		t.Error("RotationDue = true just after Rotate")
	}
}

// Keys that an operator manages: the first signs, all are published, nothing ever changes by itself.
func TestManagedKeys(t *testing.T) {
	t.Parallel()
	set := newKeySet(t, fixtureTime, 1, 0, 2)
	for _, at := range []time.Time{fixtureTime, fixtureTime.Add(10 * 365 * 24 * time.Hour)} {
		if got := signs(t, set, at); got != "1" {
			t.Errorf("Signing = key %s, want 1", got)
		}
		if got := published(t, set, at); got != "012" {
			t.Errorf("JWKS = keys %s, want 012", got)
		}
	}
}

// TM-093: the private key gets into the published set, and anybody can send visitors to the partner in our name. Every
// member of the set is checked, so that a new one cannot slip in.
func TestPublishedKeySetHasPublicMembersOnly(t *testing.T) {
	t.Parallel()
	data := rotate(t, newKeySet(t, fixtureTime, 0), fixtureTime, 1).JWKS(fixtureTime)
	var set map[string]json.RawMessage
	if err := json.Unmarshal(data, &set); err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(maps.Keys(set)); !slices.Equal(got, []string{"keys"}) {
		t.Errorf("the set has the members %q, want keys", got)
	}
	var keys []map[string]string
	if err := json.Unmarshal(set["keys"], &keys); err != nil {
		t.Fatal(err)
	}
	if len(keys) != 2 {
		t.Fatalf("the set has %d keys, want 2", len(keys))
	}
	for i, key := range keys {
		want := []string{"alg", "e", "kid", "kty", "n", "use"}
		if got := slices.Sorted(maps.Keys(key)); !slices.Equal(got, want) {
			t.Errorf("key %d has the members %q, want %q", i, got, want)
		}
		if key["kty"] != "RSA" || key["alg"] != "RS256" || key["use"] != "sig" || key["e"] != "AQAB" {
			t.Errorf("key %d = %v", i, key)
		}
		private := rsaKeys()[i]
		for _, secret := range [][]byte{private.D.Bytes(), private.Primes[0].Bytes(), private.Primes[1].Bytes()} {
			for _, text := range key {
				if strings.Contains(text, base64URL(secret)) {
					t.Errorf("key %d holds a private number", i)
				}
			}
		}
	}
}

func TestKeySetState(t *testing.T) {
	t.Parallel()
	set := rotate(t, newKeySet(t, fixtureTime.Add(123456789*time.Nanosecond), 0, 3), fixtureTime.Add(time.Hour+5), 1)
	state, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	var again idvredirect.KeySet
	if err := json.Unmarshal(state, &again); err != nil {
		t.Fatalf("Unmarshal(Marshal(set)) = %v", err)
	}
	for at := fixtureTime.Add(-time.Hour); at.Before(fixtureTime.Add(6 * time.Hour)); at = at.Add(59 * time.Second) {
		if signs(t, set, at) != signs(t, &again, at) || string(set.JWKS(at)) != string(again.JWKS(at)) {
			t.Fatalf("at +%v the set and its stored copy differ", at.Sub(fixtureTime))
		}
	}
	if twice, err := json.Marshal(&again); err != nil || string(twice) != string(state) {
		t.Errorf("the state changes by being stored: %v", err)
	}
}

// A state that cannot be trusted as a whole is refused as a whole, and the set read into stays as it was.
func TestDamagedKeySetState(t *testing.T) {
	t.Parallel()
	state, err := json.Marshal(rotate(t, newKeySet(t, fixtureTime, 0), fixtureTime, 1))
	if err != nil {
		t.Fatal(err)
	}
	good := string(state)
	one := good[strings.Index(good, `{"pem"`) : strings.Index(good, `},`)+1]
	waiting := `{"version":1,"keys":[` + strings.ReplaceAll(one, `"signs_from"`, `"x"`) + `]}`

	for _, test := range []struct{ name, state string }{
		{"null", `null`},
		{"empty object", `{}`},
		{"no key", `{"version":1,"keys":[]}`},
		{"newer", strings.Replace(good, `"version":1`, `"version":2`, 1)},
		{"unknown member", strings.Replace(good, `"version":1`, `"version":1,"x":1`, 1)},
		{"unknown member of a key", waiting},
		{"no key signs", `{"version":1,"keys":[` + one[:strings.Index(one, `,"signs_from"`)] + `}]}`},
		{"member twice", strings.Replace(good, `"version":1`, `"version":1,"version":1`, 1)},
		{"key twice", `{"version":1,"keys":[` + one + `,` + one + `]}`},
		{"damaged key", strings.Replace(good, "BEGIN PRIVATE KEY", "BEGIN PUBLIC KEY", 1)},
		{"time is no time", strings.Replace(good, `2026-01-15T`, `2026-13-15T`, 1)},
		{"order", strings.Replace(good, `"signs_from":"2026`, `"signs_from":"2036`, 1)},
		{"too large", strings.Replace(good, "{", "{"+strings.Repeat(" ", 256<<10), 1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.state == good {
				t.Fatal("the state was not changed")
			}
			set := newKeySet(t, fixtureTime, 3)
			err := set.UnmarshalJSON([]byte(test.state))
			if !errors.Is(err, idvredirect.ErrKeySet) && !errors.Is(err, idvredirect.ErrSigningKey) {
				t.Fatalf("UnmarshalJSON = %v, want ErrKeySet", err)
			}
			if strings.Contains(err.Error(), "MII") {
				t.Error("the error holds a part of the key")
			}
			if got := signs(t, set, fixtureTime); got != "3" {
				t.Errorf("Signing = key %s after the error, want 3", got)
			}
		})
	}
}

func TestUnusableKeySets(t *testing.T) {
	t.Parallel()
	many := make([]*idvredirect.SigningKey, 17)
	for i := range many {
		many[i] = signingKey(0)
	}
	for _, test := range []struct {
		name string
		keys []*idvredirect.SigningKey
		want string
	}{
		{"none", nil, "at least one"},
		{"nil", []*idvredirect.SigningKey{nil}, "missing"},
		{"zero", []*idvredirect.SigningKey{{}}, "missing"},
		{"twice", []*idvredirect.SigningKey{signingKey(0), signingKey(0)}, "twice"},
		{"many", many, "more than 16"},
	} {
		set, err := idvredirect.NewKeySet(fixtureTime, test.keys...)
		if set != nil || !errors.Is(err, idvredirect.ErrKeySet) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: NewKeySet = %v, %v, want ErrKeySet with %q", test.name, set, err, test.want)
		}
	}
	set := newKeySet(t, fixtureTime, 0)
	for _, key := range []*idvredirect.SigningKey{nil, signingKey(0)} {
		if next, err := set.Rotate(fixtureTime, key); next != nil || !errors.Is(err, idvredirect.ErrKeySet) {
			t.Errorf("Rotate = %v, %v, want ErrKeySet", next, err)
		}
	}
	var zero idvredirect.KeySet
	if zero.Signing(fixtureTime) != nil {
		t.Error("the zero set has a signing key")
	}
	if got := string(zero.JWKS(fixtureTime)); got != `{"keys":[]}` {
		t.Errorf("JWKS of the zero set = %s", got)
	}
}
