// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Table sums a history up, as docs/reliability.md shows it.
func Table(h *History) string {
	var b strings.Builder
	b.WriteString("\n| Broken | Times | Failed | p50 | p99 | Max |\n| --- | --- | --- | --- | --- | --- |\n")
	deeds, failed := make(map[string][]time.Duration), make(map[string]int)
	for _, d := range h.Deeds {
		name := string(d.Kind)
		if d.Stage != "" {
			name += ", " + string(d.Stage)
		}
		deeds[name] = append(deeds[name], d.Took())
		if d.Err != "" {
			failed[name]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(deeds)) {
		took := sorted(deeds[name])
		fmt.Fprintf(&b, "| %s | %d | %d | %s | %s | %s |\n", name, len(took), failed[name], at50(took), at99(took), last(took))
	}

	b.WriteString("\n| Request | Times | p50 | p90 | p99 | Max | Answers |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, step := range append(slices.Clone(steps), "app or script, session held") {
		var took []time.Duration
		answers := make(map[int]int)
		for _, n := range h.Notes {
			if n.Step == step || strings.Contains(string(step), "held") && (n.Step == StepApp || n.Step == StepScript) && n.Holds != "" {
				took = append(took, n.Took())
				answers[n.Status]++
			}
		}
		if took = sorted(took); len(took) > 0 {
			fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %s | %s |\n", step, len(took), at50(took), part(took, 0.9), at99(took), last(took), counts(answers))
		}
	}

	b.WriteString("\n| Visit | Times | p50 | p99 | Max |\n| --- | --- | --- | --- | --- |\n")
	visits := make(map[string][]time.Duration)
	heard, in, began := 0, 0, 0
	for _, v := range h.Visits {
		name := string(v.Outcome)
		if v.Outcome != Entered && v.Outcome != Unreached && v.Why != "" {
			name += ": " + v.Why
		}
		visits[name] = append(visits[name], v.Took())
		if v.Transaction != "" {
			began++
		}
		if v.Told {
			heard++
		}
		if v.Outcome == Entered {
			in++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(visits)) {
		took := sorted(visits[name])
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s |\n", name, len(took), at50(took), at99(took), last(took))
	}
	fmt.Fprintf(&b, "\n%d visits, %d of them with a code, %d whose wallet was told that all is well, %d in. %d callbacks, %d requests that reached the app, %d probes (max %s).\n",
		len(h.Visits), began, heard, in, len(h.Deliveries), len(h.Passages), len(h.Probes), last(sorted(spans(h.Probes))))
	x := newIndex(h)
	detours, through, links, refused := x.landings()
	fmt.Fprintf(&b, "%d visits over the partner, %d of them in; %d links followed, %d of them refused.\n", detours, through, links, refused)
	copies := 0
	for i := range h.Notes {
		if h.Notes[i].Step == StepStale {
			copies++
		}
	}
	fmt.Fprintf(&b, "%d sessions ended by a logout or a revocation; copies of cookies were tried %d times, %d logouts were undone.\n",
		len(x.ends()), copies, len(x.ended()))
	if back := sorted(recoveries(h)); len(back) > 0 {
		fmt.Fprintf(&b, "After a fault of the store, the first visitor was served again after: p50 %s, p90 %s, max %s.\n", at50(back), part(back, 0.9), last(back))
	}
	told := make(map[string]bool)
	for _, line := range h.Audit {
		told[line.Session] = told[line.Session] || line.Event == eventStarted
	}
	silent := 0
	for _, session := range x.sessions() {
		if !told[session] {
			silent++
		}
	}
	fmt.Fprintf(&b, "Sessions whose audit line session_started was lost with a node or the store: %d.\n", silent)
	sizes := make([]int, 0, len(h.Sizes))
	for _, s := range h.Sizes {
		sizes = append(sizes, s.Goroutines)
	}
	if slices.Sort(sizes); len(sizes) > 0 {
		fmt.Fprintf(&b, "Goroutines of a node: p50 %d, p99 %d, max %d.\n", sizes[len(sizes)/2], sizes[len(sizes)*99/100], sizes[len(sizes)-1])
	}
	return b.String()
}

// steps are all of them, in the order of a visit.
var steps = []Step{
	StepApp, StepScript, StepStart, StepAway, StepReturn, StepRequest, StepWait, StepStream, StepStatus, StepFinish, StepLogout, StepThief,
	StepForeign, StepStale,
}

// recoveries are the times from the end of each fault of the store to the first answer that needed the store and had it.
func recoveries(h *History) (back []time.Duration) {
	for _, d := range h.Deeds {
		if !ofStore[d.Kind] {
			continue
		}
		var first time.Time
		for _, n := range h.Notes {
			needs := n.Step == StepRequest || n.Step == StepStatus || n.Step == StepStream || n.Step == StepWait
			if needs && n.Began.After(d.Ended) && n.Status != 0 && n.Status < 500 && (first.IsZero() || n.Ended.Before(first)) {
				first = n.Ended
			}
		}
		if !first.IsZero() {
			back = append(back, first.Sub(d.Ended))
		}
	}
	return back
}

func spans(list []Span) (took []time.Duration) {
	for _, s := range list {
		took = append(took, s.Took())
	}
	return took
}

func sorted(list []time.Duration) []time.Duration {
	slices.Sort(list)
	return list
}

// part is the value below which so much of the sorted list lies.
func part(list []time.Duration, share float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	return list[int(share*float64(len(list)-1)+0.5)].Round(time.Millisecond)
}

func at50(list []time.Duration) time.Duration { return part(list, 0.5) }
func at99(list []time.Duration) time.Duration { return part(list, 0.99) }
func last(list []time.Duration) time.Duration { return part(list, 1) }

func counts(answers map[int]int) string {
	var list []string
	for _, status := range slices.Sorted(maps.Keys(answers)) {
		name := fmt.Sprint(status)
		if status == 0 {
			name = "none"
		}
		list = append(list, fmt.Sprintf("%s ×%d", name, answers[status]))
	}
	return strings.Join(list, ", ")
}
