// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// plan is what a run is to do.
type plan struct {
	run    string // the test
	seed   uint64
	length time.Duration
	people int
	mix    Mix
}

// String is how a run is repeated.
func (p plan) String() string {
	text := fmt.Sprintf("make chaos CHAOS_RUN=%s CHAOS_SEED=%d CHAOS_TIME=%s CHAOS_PEOPLE=%d CHAOS_MIX='", p.run, p.seed, p.length, p.people)
	for i, kind := range slices.Sorted(maps.Keys(p.mix)) {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf("%s=%d", kind, p.mix[kind])
	}
	return text + "'"
}

// planned is the usual plan with what the environment says instead: CHAOS_SEED, CHAOS_TIME (such as 30m), CHAOS_PEOPLE, and CHAOS_MIX,
// a list of kinds of actions with how often each is to come, such as "kill -9=200,reload=500"; those of a store that nodes share are
// left out where there is none.
func planned(t *testing.T, p plan, sharedStore bool) plan {
	t.Helper()
	p.run = t.Name()
	var err error
	if text := os.Getenv("CHAOS_SEED"); text != "" {
		if p.seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("CHAOS_SEED: %v", err)
		}
	}
	if text := os.Getenv("CHAOS_TIME"); text != "" {
		if p.length, err = time.ParseDuration(text); err != nil || p.length < 10*time.Second {
			t.Fatalf("CHAOS_TIME %q is no time of at least 10s", text)
		}
	}
	if text := os.Getenv("CHAOS_PEOPLE"); text != "" {
		if p.people, err = strconv.Atoi(text); err != nil {
			t.Fatalf("CHAOS_PEOPLE: %v", err)
		}
	}
	p.mix = UsualMix(p.length, sharedStore)
	if text := os.Getenv("CHAOS_MIX"); text != "" {
		if p.mix, err = parseMix(text); err != nil {
			t.Fatalf("CHAOS_MIX: %v", err)
		}
		maps.DeleteFunc(p.mix, func(kind Kind, _ int) bool { return ofStore[kind] && !sharedStore })
	}
	return p
}

func parseMix(text string) (Mix, error) {
	mix := make(Mix)
	for entry := range strings.SplitSeq(text, ",") {
		name, often, _ := strings.Cut(entry, "=")
		n, err := strconv.Atoi(often)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is not like \"kill -9=200\"", entry)
		}
		if _, known := UsualMix(time.Hour, true)[Kind(name)]; !known {
			return nil, fmt.Errorf("nothing is called %q; there are %q", name, slices.Sorted(maps.Keys(UsualMix(time.Hour, true))))
		}
		if n > 0 {
			mix[Kind(name)] = n
		}
	}
	return mix, nil
}

// What a failing run prints repeats it.
func TestPlanIsReadAsItIsPrinted(t *testing.T) {
	want := plan{run: t.Name(), seed: 7, length: time.Minute, people: 5, mix: UsualMix(2*time.Minute, true)}
	for setting := range strings.SplitSeq(strings.TrimPrefix(want.String(), "make chaos "), " CHAOS_") {
		name, value, _ := strings.Cut(setting, "=")
		t.Setenv("CHAOS_"+strings.TrimPrefix(name, "CHAOS_"), strings.Trim(value, "'"))
	}
	if got := planned(t, plan{}, true); got.String() != want.String() {
		t.Errorf("planned %s, want %s", got, want)
	}
	for kind := range planned(t, plan{}, false).mix {
		if ofStore[kind] {
			t.Errorf("%q is planned without a store", kind)
		}
	}
	for _, bad := range []string{"kill=1", "kill -9", "kill -9=x", "reload=-1"} {
		if mix, err := parseMix(bad); err == nil {
			t.Errorf("parseMix(%q) = %v", bad, mix)
		}
	}
}
