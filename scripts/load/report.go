// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// result is what a scenario found.
type result struct {
	scenario
	rows   []row
	notes  []string
	missed bool
	took   time.Duration
}

// row is one line of the table.
type row struct {
	what, target, measured, verdict string
	counts, percentiles             string
}

// check adds a line with a target.
func (r *result) check(what, target, measured string, held bool, t *tally) {
	verdict := "held"
	if !held {
		verdict, r.missed = "**missed**", true
	}
	r.add(row{what: what, target: target, measured: measured, verdict: verdict}, t)
}

// tell adds a line without a target.
func (r *result) tell(what, measured string, t *tally) {
	r.add(row{what: what, target: "–", measured: measured, verdict: "–"}, t)
}

func (r *result) add(line row, t *tally) {
	line.counts, line.percentiles = "–", "–"
	if t != nil {
		line.counts, line.percentiles = t.counts(), t.percentiles()
	}
	r.rows = append(r.rows, line)
}

// fail says why there is no figure.
func (r *result) fail(format string, args ...any) {
	r.missed = true
	text := strings.NewReplacer("|", "/", "\n", " ").Replace(fmt.Sprintf(format, args...))
	r.rows = append(r.rows, row{what: r.title, target: r.target, measured: text, verdict: "**failed**", counts: "–", percentiles: "–"})
}

// note adds a sentence below the table.
func (r *result) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// report is Markdown, written to standard output and to a file as it grows, so that a run that is broken off leaves what it has.
type report struct {
	file  *os.File
	out   io.Writer
	began time.Time
	notes []string
}

func openReport(path string) (*report, error) {
	r := &report{out: os.Stdout, began: time.Now()}
	if path == "" {
		return r, nil
	}
	file, err := os.Create(path) //nolint:gosec // the path is what the caller asked for
	if err != nil {
		return nil, err
	}
	r.file, r.out = file, io.MultiWriter(os.Stdout, file)
	return r, nil
}

func (r *report) close() {
	if r.file != nil {
		_ = r.file.Close()
	}
}

// machine says what the figures were measured on.
func (r *report) machine(ctx context.Context, run *run) {
	fmt.Fprintf(r.out, "Measured %s on %s. %d cores, %s, Linux %s. %s, Caddy %s, commit %s. Store: %s. Scale %g. Generator, app, emulator and gate share the cores.\n\n",
		r.began.UTC().Format("2006-01-02 15:04 UTC"), runtime.GOARCH, runtime.NumCPU(), processor(), kernel(), runtime.Version(), caddyVersion(ctx, run.binary),
		commit(ctx), run.storeName, run.scale)
}

func (r *report) head() {
	fmt.Fprint(r.out, "| # | What | Target | Measured | Verdict | Counts | p50 / p90 / p99 / max |\n| --- | --- | --- | --- | --- | --- | --- |\n")
}

// add writes the lines of a scenario and says whether a target was missed.
func (r *report) add(result *result) (missed bool) {
	for _, line := range result.rows {
		fmt.Fprintf(r.out, "| %s | %s | %s | %s | %s | %s | %s |\n", result.name, line.what, line.target, line.measured, line.verdict, line.counts, line.percentiles)
	}
	for _, note := range result.notes {
		r.notes = append(r.notes, result.name+": "+note)
	}
	fmt.Fprintf(os.Stderr, "   %s took %s\n", result.name, short(result.took))
	return result.missed
}

// foot writes the notes, which must not stand within the table.
func (r *report) foot() {
	fmt.Fprintln(r.out)
	for _, note := range r.notes {
		fmt.Fprintf(r.out, "* %s\n", note)
	}
	fmt.Fprintf(r.out, "\nThe whole took %s.\n", time.Since(r.began).Round(time.Second))
}

func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

// caddyVersion asks the binary's own build information.
func caddyVersion(ctx context.Context, binary string) string {
	output, err := exec.CommandContext(ctx, "go", "version", "-m", binary).Output() //nolint:gosec // the binary that we built
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(output)) {
		fields := strings.Fields(line)
		if len(fields) >= 3 && fields[0] == "dep" && fields[1] == "github.com/caddyserver/caddy/v2" {
			return fields[2]
		}
	}
	return "unknown"
}

// commit names the checkout that was measured.
func commit(ctx context.Context) string {
	if output, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		return strings.TrimSpace(string(output))
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
