// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

const (
	baseA = "PmvzQKgYek6Sdk/T5sWaqw"
	baseB = "e8iECJiOvUGPvOVtchxG9g"
	// longVector is an example of the specification, 126 bytes long.
	longVector = "CgOLQOn9Gkmd4pM720ciZA.1.15.3226329855.4111101367.10.23.8.3226332926.1671828776.2345.12.3.243.544.3226336576.3422508575.23.1.34"
)

// vectorOf pads a vector of version 2.1 or 3.0 with elements to a length and ends it with last.
func vectorOf(prefix string, length int, last string) string {
	padding := length - len(prefix) - len(last) - 1
	return prefix + strings.Repeat(".1", padding/2-padding%2) + strings.Repeat(".11", padding%2) + "." + last
}

func parseVector(t *testing.T, s string) idvredirect.CorrelationVector {
	t.Helper()
	v, err := idvredirect.ParseCorrelationVector(s)
	if err != nil {
		t.Fatalf("ParseCorrelationVector(%q) = %v", s, err)
	}
	return v
}

func TestParseCorrelationVector(t *testing.T) {
	t.Parallel()
	const v3 = "A." + baseA
	for _, test := range []struct {
		name, vector string
		valid        bool
	}{
		// Version 2.1: the specification's examples and the edges of its grammar.
		{"2.1 seed", baseA + ".0", true},
		{"2.1 two elements", baseB + ".1.23", true},
		{"2.1 long", longVector, true},
		{"2.1 long, terminated", longVector + "!", true},
		{"2.1 short, terminated", baseA + ".4294967295!", true},
		{"2.1 largest element", baseA + ".4294967295", true},
		{"2.1 element too large", baseA + ".4294967296", false},
		{"2.1 ten nines", baseA + ".9999999999", false},
		{"2.1 ten digits", baseA + ".0000000001", true},
		{"2.1 eleven digits", baseA + ".00000000001", false},
		{"2.1 longest", vectorOf(baseA, 127, "1"), true},
		{"2.1 longest, terminated", vectorOf(baseA, 127, "1") + "!", true},
		{"2.1 too long", vectorOf(baseA, 128, "1"), false},
		{"2.1 too long, terminated", vectorOf(baseA, 128, "1") + "!", false},
		{"2.1 terminated twice", baseA + ".1!!", false},
		{"2.1 terminated inside", baseA + ".1!.2", false},
		{"2.1 hexadecimal", baseA + ".1F", false},
		{"2.1 signed", baseA + ".+1", false},
		{"2.1 negative", baseA + ".-1", false},
		{"2.1 underscore in a number", baseA + ".1_0", false},
		{"2.1 blank in a number", baseA + ". 1", false},
		{"2.1 no element", baseA, false},
		{"2.1 empty element", baseA + ".", false},
		{"2.1 empty element inside", baseA + ".1..2", false},
		{"2.1 only terminated", baseA + "!", false},
		{"2.1 base ends in A", strings.Repeat("A", 22) + ".0", true},
		{"2.1 base ends in Q", strings.Repeat("A", 21) + "Q.0", true},
		{"2.1 base ends in g", strings.Repeat("/", 21) + "g.0", true},
		{"2.1 base ends in w", strings.Repeat("+", 21) + "w.0", true},
		{"2.1 base with more than 128 bits", strings.Repeat("A", 21) + "B.0", false},
		{"2.1 base in the URL alphabet", strings.Repeat("-", 21) + "w.0", false},
		{"2.1 base with padding", "PmvzQKgYek6Sdk/T5sWaqw==.0", false},
		{"2.1 base with line ends", "PmvzQKgYek6Sdk/T5sWa\r\n.0", false},
		{"2.1 base too short", baseA[1:] + ".0", false},
		{"2.1 base too long", "A" + baseA + ".0", false},
		{"1", "Q3Iw1qpDvUyrs4Vf.0", false},
		{"1 terminated", "Q3Iw1qpDvUyrs4Vf.1!", false},

		// Version 3.0. Three examples of the draft have 23 characters of base; they are corrected here, as its grammar says.
		{"3.0 seed", v3 + ".0", true},
		{"3.0 hexadecimal", v3 + ".B", true},
		{"3.0 elements", "A." + baseB + ".F.A.23", true},
		{"3.0 parent", "A." + baseB + "-304773F68A307E98.1.F.A.234", true},
		{"3.0 spun", "A." + baseB + ".1.F.A.23_93816B91E430A7BB.1", true},
		{"3.0 spun twice", v3 + ".1_B6A5E62FC38E9974.1_B6A6A13E588CF82F.0", true},
		{"3.0 reset", v3 + "#B6A5FFD77977E2AE.0", true},
		{"3.0 reset and spun", v3 + "#B6A5FFD77977E2AE.1_B6A6A13E588CF82F.0", true},
		{"3.0 base of 23 characters", "A." + baseB + "1.F", false},
		{"3.0 largest element", v3 + ".FFFFFFFF", true},
		{"3.0 nine digits", v3 + ".0FFFFFFFF", false},
		{"3.0 lower case", v3 + ".b", false},
		{"3.0 lower-case ID", v3 + "#b6a5ffd77977e2ae.0", false},
		{"3.0 short ID", v3 + "#B6A5FFD77977E2A.0", false},
		{"3.0 long ID", v3 + "#B6A5FFD77977E2AE0.0", false},
		{"3.0 ID without element", v3 + "#B6A5FFD77977E2AE", false},
		{"3.0 spun before the first element", v3 + "_B6A5FFD77977E2AE.0", false},
		{"3.0 reset behind an element", v3 + ".1#B6A5FFD77977E2AE.0", false},
		{"3.0 parent behind an element", v3 + ".1-B6A5FFD77977E2AE.0", false},
		{"3.0 reset and parent", v3 + "#B6A5FFD77977E2AE-B6A5FFD77977E2AE.0", false},
		{"3.0 terminated", v3 + ".1!", false},
		{"3.0 no element", v3, false},
		{"3.0 longest", vectorOf(v3, 128, "1"), true},
		{"3.0 too long", vectorOf(v3, 129, "1"), false},
		{"3.0 other version", "B." + baseA + ".0", false},
		{"3.0 prefix in lower case", "a." + baseA + ".0", false},

		// What comes in such a header besides.
		{"empty", "", false},
		{"blank", " ", false},
		{"blank before", " " + baseA + ".0", false},
		{"line end behind", baseA + ".0\n", false},
		{"NUL", baseA + ".0\x00", false},
		{"markup", "<script>alert(1)</script>.0", false},
		{"not ASCII", strings.Repeat("é", 11) + ".0", false},
		{"arabic digits", baseA + ".٣", false},
		{"huge", baseA + strings.Repeat(".1", 1<<20), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v, err := idvredirect.ParseCorrelationVector(test.vector)
			if test.valid {
				if err != nil || v.String() != test.vector {
					t.Errorf("ParseCorrelationVector(%q) = %q, %v, want it unchanged", test.vector, v, err)
				}
				return
			}
			if v != (idvredirect.CorrelationVector{}) || !errors.Is(err, idvredirect.ErrCorrelationVector) {
				t.Errorf("ParseCorrelationVector(%.80q) = %q, %v, want ErrCorrelationVector", test.vector, v, err)
			}
		})
	}
}

// A stranger sends markup, or a line of somebody's log, as vector; the error is written in a log and on a page.
func TestBadVectorIsNotReflected(t *testing.T) {
	t.Parallel()
	const text = "canary\r\n<b>"
	_, err := idvredirect.ParseCorrelationVector(text)
	if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "<b>") {
		t.Errorf("ParseCorrelationVector = %v, want an error without the input", err)
	}
}

// The table of the working reference, row by row, with the results that do not fit.
func TestVectorOperators(t *testing.T) {
	t.Parallel()
	const v3 = "A." + baseA
	longest := vectorOf(baseA, 127, "1")
	for _, test := range []struct {
		name, vector, increment, extend string
	}{
		{"2.1 seed", baseA + ".0", baseA + ".1", baseA + ".0.0"},
		{"2.1 two elements", baseB + ".1.23", baseB + ".1.24", baseB + ".1.23.0"},
		{"2.1 carry", baseA + ".9", baseA + ".10", baseA + ".9.0"},
		{"2.1 leading zeros", baseA + ".007", baseA + ".8", baseA + ".007.0"},
		{"2.1 beyond 31 bits", baseA + ".2147483647", baseA + ".2147483648", baseA + ".2147483647.0"},
		{"2.1 beyond 31 bits already", baseA + ".3226329855", baseA + ".3226329856", baseA + ".3226329855.0"},
		{"2.1 last number", baseA + ".4294967294", baseA + ".4294967295", baseA + ".4294967294.0"},
		{"2.1 no number left", baseA + ".4294967295", baseA + ".4294967295!", baseA + ".4294967295.0"},
		{"2.1 long", longVector, longVector[:len(longVector)-2] + "35", longVector + "!"},
		{"2.1 extended to the limit", vectorOf(baseA, 125, "1"), vectorOf(baseA, 125, "2"), vectorOf(baseA, 125, "1") + ".0"},
		{"2.1 extended beyond the limit", vectorOf(baseA, 126, "1"), vectorOf(baseA, 126, "2"), vectorOf(baseA, 126, "1") + "!"},
		{"2.1 incremented to the limit", vectorOf(baseA, 126, "9"), vectorOf(baseA, 127, "10"), vectorOf(baseA, 126, "9") + "!"},
		{"2.1 incremented beyond the limit", vectorOf(baseA, 127, "9"), vectorOf(baseA, 127, "9") + "!", vectorOf(baseA, 127, "9") + "!"},
		{"2.1 incremented at the limit", longest, longest[:126] + "2", longest + "!"},
		{"2.1 terminated", longVector + "!", longVector + "!", longVector + "!"},
		{"2.1 terminated though short", baseA + ".1!", baseA + ".1!", baseA + ".1!"},

		{"3.0", v3 + ".9", v3 + ".A", v3 + ".9.0"},
		{"3.0 elements", v3 + ".1.F.A.23", v3 + ".1.F.A.24", v3 + ".1.F.A.23.0"},
		{"3.0 carry", v3 + ".F", v3 + ".10", v3 + ".F.0"},
		{"3.0 parent", v3 + "-304773F68A307E98.4", v3 + "-304773F68A307E98.5", v3 + "-304773F68A307E98.4.0"},
		{"3.0 spun", v3 + ".1.F.A.23_B6A5E62FC38E9974.1", v3 + ".1.F.A.23_B6A5E62FC38E9974.2", v3 + ".1.F.A.23_B6A5E62FC38E9974.1.0"},
		{"3.0 reset", v3 + "#B6A5FFD77977E2AE.1", v3 + "#B6A5FFD77977E2AE.2", v3 + "#B6A5FFD77977E2AE.1.0"},
		{"3.0 no number left", v3 + ".FFFFFFFF", v3 + ".FFFFFFFF", v3 + ".FFFFFFFF.0"},
		{"3.0 extended to the limit", vectorOf(v3, 126, "1"), vectorOf(v3, 126, "2"), vectorOf(v3, 126, "1") + ".0"},
		{"3.0 extended beyond the limit", vectorOf(v3, 127, "1"), vectorOf(v3, 127, "2"), vectorOf(v3, 127, "1")},
		{"3.0 incremented beyond the limit", vectorOf(v3, 128, "F"), vectorOf(v3, 128, "F"), vectorOf(v3, 128, "F")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := parseVector(t, test.vector)
			if got := v.Increment().String(); got != test.increment {
				t.Errorf("Increment() = %q, want %q", got, test.increment)
			}
			if got := v.Extend().String(); got != test.extend {
				t.Errorf("Extend() = %q, want %q", got, test.extend)
			}
			for _, after := range []idvredirect.CorrelationVector{v.Increment(), v.Extend()} {
				if parseVector(t, after.String()) != after {
					t.Errorf("%q does not parse to itself", after)
				}
				if after.Base() != v.Base() {
					t.Errorf("Base() = %q, want %q", after.Base(), v.Base())
				}
				if want := strings.HasSuffix(after.String(), "!"); after.Terminated() != want {
					t.Errorf("Terminated() = %v, want %v", after.Terminated(), want)
				}
			}
		})
	}
}

// Example values of the specification's Spin section: two elements always, each of its own size, whatever the parameters.
// At the fixture's time there are 639040680000000000 ticks; the counters below are that without its last 24 or 16 bits.
func TestSpin(t *testing.T) {
	t.Parallel()
	const v3 = "A." + baseA
	type parameters = idvredirect.SpinParameters
	full := idvredirect.DefaultSpin()
	for _, test := range []struct {
		name, vector string
		parameters   parameters
		want         string
	}{
		{"nothing", baseA + ".1", parameters{}, ".0.0.0"},
		{"coarse short", baseA + ".1", parameters{idvredirect.CoarseInterval, idvredirect.ShortPeriodicity, 2}, ".7384.65277.0"},
		{"coarse medium", baseA + ".1", parameters{idvredirect.CoarseInterval, idvredirect.MediumPeriodicity, 3}, ".5512408.16711164.0"},
		{"coarse long", baseA + ".1", parameters{idvredirect.CoarseInterval, idvredirect.LongPeriodicity, 4}, ".3730054360.4278058236.0"},
		{"fine short", baseA + ".1", parameters{idvredirect.FineInterval, idvredirect.ShortPeriodicity, 1}, ".55404.254.0"},
		{"fine medium", baseA + ".1", parameters{idvredirect.FineInterval, idvredirect.MediumPeriodicity, 0}, ".1890412.0.0"},
		{"fine long", baseA + ".1", parameters{idvredirect.FineInterval, idvredirect.LongPeriodicity, 4}, ".1411176556.4278058236.0"},
		{"entropy only", baseA + ".1", parameters{EntropyBytes: 4}, ".0.4278058236.0"},
		{"default", baseA + ".1", full, ".1411176556.4278058236.0"},
		{"to the limit", vectorOf(baseA, 103, "1"), full, ".1411176556.4278058236.0"},
		{"beyond the limit", vectorOf(baseA, 104, "1"), full, "!"},
		{"terminated", longVector + "!", full, ""},
		{"3.0", v3 + ".9", full, "_541CD86CFEFDFCFC.0"},
		{"3.0 has one shape", v3 + ".9", parameters{}, "_541CD86CFEFDFCFC.0"},
		{"3.0 parent", v3 + "-304773F68A307E98.4", full, "_541CD86CFEFDFCFC.0"},
		{"3.0 to the limit", vectorOf(v3, 109, "1"), full, "_541CD86CFEFDFCFC.0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			random := bytes.NewReader([]byte{0xfe, 0xfd, 0xfc, 0xfc})
			got, err := parseVector(t, test.vector).Spin(test.parameters, fixtureTime, random)
			if want := test.vector + test.want; err != nil || got.String() != want {
				t.Errorf("Spin = %q, %v\nwant   %q", got, err, want)
			}
			parseVector(t, got.String())
		})
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	const v3 = "A." + baseA
	entropy := []byte{0xfe, 0xfd, 0xfc, 0xfc}
	want := v3 + "#541CD86CFEFDFCFC.0"
	spun, err := parseVector(t, vectorOf(v3, 110, "1")).Spin(idvredirect.DefaultSpin(), fixtureTime, bytes.NewReader(entropy))
	if err != nil || spun.String() != want {
		t.Errorf("Spin without room = %q, %v, want %q", spun, err, want)
	}
	for _, vector := range []string{v3 + ".1", v3 + "#B6A5FFD77977E2AE.4", vectorOf(v3, 128, "F")} {
		reset, err := parseVector(t, vector).Reset(fixtureTime, bytes.NewReader(entropy))
		if err != nil || reset.String() != want {
			t.Errorf("Reset of %q = %q, %v, want %q", vector, reset, err, want)
		}
		parseVector(t, reset.String())
	}
	old := parseVector(t, longVector+"!")
	if reset, err := old.Reset(fixtureTime, nil); reset != old || err != nil {
		t.Errorf("Reset of version 2.1 = %q, %v, want it unchanged", reset, err)
	}
}

// Retries of one message, and consumers of one queue, get vectors of their own, which sort by time.
func TestSpinTellsRetriesApart(t *testing.T) {
	t.Parallel()
	v := parseVector(t, baseA+".1")
	seen := make(map[idvredirect.CorrelationVector]bool)
	for range 1000 {
		spun, err := v.Spin(idvredirect.DefaultSpin(), fixtureTime, nil)
		if err != nil || seen[spun] {
			t.Fatalf("Spin = %q, %v, want a new vector", spun, err)
		}
		seen[spun] = true
	}
	first, err := v.Spin(idvredirect.DefaultSpin(), fixtureTime, nil)
	if err != nil {
		t.Fatal(err)
	}
	later, err := v.Spin(idvredirect.DefaultSpin(), fixtureTime.Add(7*time.Millisecond), nil)
	if err != nil {
		t.Fatal(err)
	}
	if first.String()[:len(baseA)+13] >= later.String()[:len(baseA)+13] {
		t.Errorf("%q, spun earlier, sorts after %q", first, later)
	}
}

func TestVectorErrors(t *testing.T) {
	t.Parallel()
	broken := iotest.ErrReader(errors.New("no randomness"))
	if v, err := idvredirect.NewCorrelationVector(broken); v != (idvredirect.CorrelationVector{}) || err == nil {
		t.Errorf("NewCorrelationVector = %q, %v, want an error", v, err)
	}
	for _, vector := range []string{baseA + ".1", "A." + baseA + ".1"} {
		v := parseVector(t, vector)
		if got, err := v.Spin(idvredirect.DefaultSpin(), fixtureTime, broken); got != v || err == nil {
			t.Errorf("Spin = %q, %v, want an error", got, err)
		}
		if got, err := v.Reset(fixtureTime, broken); got != v || (err == nil) != (vector == baseA+".1") {
			t.Errorf("Reset = %q, %v", got, err)
		}
	}
	v := parseVector(t, baseA+".1")
	for _, parameters := range []idvredirect.SpinParameters{{Interval: 2}, {Periodicity: 4}, {EntropyBytes: 5}, {EntropyBytes: -1}} {
		if got, err := v.Spin(parameters, fixtureTime, nil); got != v || err == nil {
			t.Errorf("Spin(%v) = %q, %v, want an error", parameters, got, err)
		}
	}
	var zero idvredirect.CorrelationVector
	spun, err := zero.Spin(idvredirect.DefaultSpin(), fixtureTime, nil)
	if err != nil || spun != zero || zero.Increment() != zero || zero.Extend() != zero || zero.Base() != "" || zero.String() != "" || zero.Terminated() {
		t.Error("an operator makes something of the zero vector")
	}
}

// A seed has 128 random bits in 22 characters whose last has no bit too many, so that other programs take it for one.
func TestSeed(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 1000 {
		v, err := idvredirect.NewCorrelationVector(nil)
		if err != nil {
			t.Fatal(err)
		}
		base, element, _ := strings.Cut(v.String(), ".")
		raw, err := base64.RawStdEncoding.Strict().DecodeString(base)
		if err != nil || len(raw) != 16 || element != "0" || seen[base] || base != v.Base() {
			t.Fatalf("NewCorrelationVector = %q, want 16 new bytes and .0", v)
		}
		seen[base] = true
		parseVector(t, v.String())
	}
}
