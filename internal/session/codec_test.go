// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

func TestDecodeReturnsWhatWasEncoded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 20_000)
	tests := []struct {
		name string
		s    *session.Session
	}{
		{"zero", &session.Session{}},
		{"sample", sampleSession()},
		{"long", &session.Session{
			ID: long, Presentations: []verifier.Presentation{{Claims: []verifier.Claim{{Name: long, Value: long}}}},
		}},
		{"empty presentations", &session.Session{Presentations: make([]verifier.Presentation, 3)}},
		{"score 0", &session.Session{Presentations: []verifier.Presentation{{FaceChecked: true}}}},
		{"score 100", &session.Session{Presentations: []verifier.Presentation{{FaceChecked: true, FaceScore: 100}}}},
		{"old dates", &session.Session{
			Created: time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), Seen: time.Unix(-1, 0).UTC(), Expires: time.Unix(0, 0).UTC(),
		}},
		{"far date", &session.Session{Expires: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := tt.s.AppendBinary([]byte("prefix"))
			got, err := session.Decode(b[len("prefix"):])
			if err != nil {
				t.Fatalf("Decode(%x) = %v", b, err)
			}
			if diff := cmp.Diff(tt.s, got, whole); diff != "" {
				t.Errorf("Decode() differs (-want +got):\n%s", diff)
			}
		})
	}
}

// A field that somebody adds and the codec forgets would be lost without a sign, and the check that needs it would see zero.
func TestEveryFieldIsEncoded(t *testing.T) {
	t.Parallel()
	want := &session.Session{}
	fill(t, reflect.ValueOf(want).Elem())
	b := want.AppendBinary(nil)
	// Left out on purpose: the session's subject speaks for all.
	for i := range want.Presentations {
		want.Presentations[i].Subject = ""
	}
	got, err := session.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, whole); diff != "" {
		t.Errorf("Decode() differs (-want +got):\n%s", diff)
	}
}

// fill gives each field below v a value that is not zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(day))
	case v.Kind() == reflect.String:
		v.SetString("text")
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.Float64:
		v.SetFloat(1.5)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0))
	case v.Kind() == reflect.Struct:
		for of, field := range v.Fields() {
			if of.IsExported() { // the others are of where it was opened from
				fill(t, field)
			}
		}
	default:
		t.Fatalf("%v: the codec does not know this kind; teach it, and this test", v.Type())
	}
}

// The DID of the holder does not belong into a cookie that is kept for hours.
func TestSubjectOfPresentationIsLeftOut(t *testing.T) {
	t.Parallel()
	s := sampleSession()
	s.Presentations[0].Subject = "did:ion:CANARY"
	if b := s.AppendBinary(nil); bytes.Contains(b, []byte("CANARY")) {
		t.Errorf("AppendBinary() holds the subject: %q", b)
	}
}

// Nothing may last longer for having been encoded.
func TestTimesAreCutTowardsThePast(t *testing.T) {
	t.Parallel()
	tests := []struct{ give, want time.Time }{
		{day.Add(999 * time.Millisecond), day},
		{day, day},
		{day.Add(1).In(time.FixedZone("", 3600)), day},
		{time.Unix(-2, 999), time.Unix(-2, 0)},
		{time.Time{}, time.Time{}},
		{time.Time{}.Add(1), time.Time{}.Add(time.Second)}, // the nearest that is not the zero time
		{time.Unix(math.MaxInt64/4, 0), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		{time.Unix(math.MinInt64/4, 0), time.Time{}.Add(time.Second)},
	}
	for _, tt := range tests {
		got, err := session.Decode((&session.Session{Expires: tt.give}).AppendBinary(nil))
		if err != nil {
			t.Errorf("%v: Decode() = %v", tt.give, err)
			continue
		}
		if !got.Expires.Equal(tt.want) || got.Expires.Location() != time.UTC {
			t.Errorf("%v: Expires = %v, want %v", tt.give, got.Expires, tt.want)
		}
	}
}

// Appending to the claims of one presentation must not write over those of the next: they share one array.
func TestClaimsOfPresentationsAreApart(t *testing.T) {
	t.Parallel()
	s, err := session.Decode(sampleSession().AppendBinary(nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = append(s.Presentations[0].Claims, verifier.Claim{Name: "zz", Value: "intruder"})
	if got, want := s.Presentations[1].Claims[0], sampleSession().Presentations[1].Claims[0]; got != want {
		t.Errorf("claim = %v, want %v", got, want)
	}
}

// The bytes were sealed by us, but perhaps by a version of us that we do not know. Half a session is no session.
func TestDamagedSessionIsNotDecoded(t *testing.T) {
	t.Parallel()
	good := sampleSession().AppendBinary(nil)
	for i := range good {
		mustNotDecode(t, "cut", good[:i])
	}
	mustNotDecode(t, "extended", append(bytes.Clone(good), 0))
	mustNotDecode(t, "doubled", append(bytes.Clone(good), good...))

	// The head of a session without id, subject and times, then the counts, then one presentation without anything.
	const head, empty = "\x01\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	tests := []struct{ name, bytes string }{
		{"version 0", "\x00" + head[1:] + "\x00\x00"},
		{"version 2", "\x02" + head[1:] + "\x00\x00"},
		{"unknown session flag", "\x01\x02" + head[2:] + "\x00\x00"},
		{"unknown presentation flag", head + "\x01\x00" + "\x08" + empty},
		{"presentations missing", head + "\x02\x00" + "\x00" + empty},
		{"presentations without end", head + "\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00"},
		{"claims without end", head + "\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f"},
		{"more claims announced than there are", head + "\x01\x01" + "\x00" + empty + "\x00\x00"},
		{"claims announced that no presentation has", head + "\x01\x01" + "\x00" + empty},
		{"fewer claims announced", head + "\x01\x00" + "\x00" + empty[1:] + "\x01\x01a\x01b"},
		{"same claim twice", head + "\x01\x02" + "\x00" + empty[1:] + "\x02\x01a\x00\x01a\x00"},
		{"claims out of order", head + "\x01\x02" + "\x00" + empty[1:] + "\x02\x01b\x00\x01a\x00"},
		{"longer form of an integer", "\x01\x00\x80\x00" + head[3:] + "\x00\x00"},
		{"integer of 11 bytes", "\x01\x00" + strings.Repeat("\x80", 10) + "\x01" + head[3:] + "\x00\x00"},
		{"text longer than the rest", "\x01\x00\x7f" + head[3:] + "\x00\x00"},
		{"year 10000", "\x01\x00\x00\x00\x81\x86\xa2\xff\xdf\x0e\x00\x00\x00\x00"},
		{"zero time in its long form", "\x01\x00\x00\x00\x80\xdc\x8f\xf9\xce\x03\x00\x00\x00\x00"},
		{"score not a number", head + "\x01\x00" + "\x02\x7f\xf8\x00\x00\x00\x00\x00\x01" + empty},
		{"score above 100", head + "\x01\x00" + "\x02\x40\x59\x40\x00\x00\x00\x00\x00" + empty},
		{"score below 0", head + "\x01\x00" + "\x02\xbf\xf0\x00\x00\x00\x00\x00\x00" + empty},
		{"score infinite", head + "\x01\x00" + "\x02\x7f\xf0\x00\x00\x00\x00\x00\x00" + empty},
		{"score cut", head + "\x01\x00" + "\x02\x7f\xf0"},
	}
	for _, tt := range tests {
		mustNotDecode(t, tt.name, []byte(tt.bytes))
	}
	// The same pieces put together rightly do decode, so the table tests what it says.
	for _, good := range []string{
		head + "\x00\x00", head + "\x01\x00" + "\x00" + empty, head + "\x01\x01" + "\x00" + empty[1:] + "\x01\x01a\x00",
		head + "\x01\x00" + "\x02\x40\x59\x00\x00\x00\x00\x00\x00" + empty,
		"\x01\x00\x00\x00\xff\x85\xa2\xff\xdf\x0e\x00\x00\x00\x00", // the last second of 9999
		"\x01\x00\x00\x00\xfe\xdb\x8f\xf9\xce\x03\x00\x00\x00\x00", // year 1, one second in
	} {
		if _, err := session.Decode([]byte(good)); err != nil {
			t.Errorf("Decode(%q) = %v", good, err)
		}
	}
}

func mustNotDecode(t *testing.T, name string, b []byte) {
	t.Helper()
	if s, err := session.Decode(b); !errors.Is(err, session.ErrMalformed) || s != nil {
		t.Errorf("%s: Decode(%q) = %v, %v, want ErrMalformed", name, b, s, err)
	}
}

// A count is believed only as far as there are bytes for it.
func TestDecodeAllocatesNoMoreThanItReads(t *testing.T) {
	// Not parallel: it measures memory.
	b := []byte("\x01\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x0f\xff\xff\xff\xff\x0f")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 1000 {
		if _, err := session.Decode(b); err == nil {
			t.Fatal("decoded")
		}
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("1000 malformed sessions took %d bytes", used)
	}
}

// The format of version 1 stays readable; a change of format needs another version byte.
func TestFormatIsStable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/session-v1.hex")
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	if got := sampleSession().AppendBinary(nil); !bytes.Equal(got, want) {
		t.Errorf("AppendBinary() = %x, want %x", got, want)
	}
}

// Whatever decodes has one form only, and nothing crashes.
func FuzzDecodeSession(f *testing.F) {
	f.Add((&session.Session{}).AppendBinary(nil))
	f.Add(sampleSession().AppendBinary(nil))
	f.Add((&session.Session{Presentations: make([]verifier.Presentation, 3)}).AppendBinary(nil))
	sample := sampleSession().AppendBinary(nil)
	for at := 0; at < len(sample); at += max(1, len(sample)/30) {
		f.Add(sample[:at])
		f.Add(append(append(bytes.Clone(sample[:at]), 0xff), sample[at+1:]...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := session.Decode(b)
		if err != nil {
			if !errors.Is(err, session.ErrMalformed) || s != nil {
				t.Fatalf("Decode(%x) = %v, %v, want ErrMalformed", b, s, err)
			}
			return
		}
		if got := s.AppendBinary(nil); !bytes.Equal(got, b) {
			t.Fatalf("Decode(%x) encodes to %x", b, got)
		}
	})
}

// Whatever a session holds comes back.
func FuzzSessionRoundTrip(f *testing.F) {
	f.Add("id", "did:web:a", "name", "value", int64(1_773_480_413), 83.5, true, false)
	f.Add("", "", "", "", int64(0), 0.0, false, true)
	f.Fuzz(func(t *testing.T, id, issuer, name, value string, seconds int64, score float64, checked, cross bool) {
		at := time.Unix(seconds%maxSeconds, 0).UTC()
		p := verifier.Presentation{Issuer: issuer, VerifiedAt: at, CredentialExpires: at, FaceChecked: checked, CrossDevice: cross}
		if checked {
			p.FaceScore = math.Abs(math.Mod(score, 100))
			if math.IsNaN(p.FaceScore) {
				p.FaceScore = 0
			}
		}
		p.Claims = []verifier.Claim{{Name: name, Value: value}, {Name: name + "x", Value: id}}
		want := &session.Session{ID: id, Subject: value, Created: at, CrossDevice: cross, Presentations: []verifier.Presentation{p, p}}
		got, err := session.Decode(want.AppendBinary(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, whole); diff != "" {
			t.Fatalf("Decode() differs (-want +got):\n%s", diff)
		}
	})
}

// maxSeconds keeps fuzzed times within the years that have four digits.
const maxSeconds = 60_000_000_000
