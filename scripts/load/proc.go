// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU time in /proc, on every architecture that Go knows.
const clockTick = 10 * time.Millisecond

// cpu is the CPU time that the server has used so far, to 10 ms. 0 where there is no /proc.
func (c *caddy) cpu() time.Duration { return cpuOf(c.cmd.Process.Pid) }

// ownCPU is that of this process, which plays everything else.
func ownCPU() time.Duration { return cpuOf(os.Getpid()) }

func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name before it may hold blanks
	fields := strings.Fields(string(rest))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick
}

// rss is the server's resident memory in bytes; peak is the most that it ever was. 0 where there is no /proc.
func (c *caddy) rss() (now, peak int64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, 0
	}
	return kilobytes(status, "VmRSS"), kilobytes(status, "VmHWM")
}

// forgetPeak lets the highest resident memory be counted from now.
func (c *caddy) forgetPeak() {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", c.cmd.Process.Pid), []byte("5"), 0o600)
}

func kilobytes(status []byte, name string) int64 {
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == name+":" {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// descriptors counts the server's open files and connections.
func (c *caddy) descriptors() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	return len(entries)
}

var (
	goroutineTotal = regexp.MustCompile(`goroutine profile: total (\d+)`)
	heapAlloc      = regexp.MustCompile(`# HeapAlloc = (\d+)`)
)

// goroutines counts the server's goroutines. -1: it does not answer.
func (c *caddy) goroutines(ctx context.Context) int {
	return int(c.profile(ctx, "/debug/pprof/goroutine?debug=1", goroutineTotal))
}

// liveHeap is what lives on the server's heap, after a collection. -1: it does not answer.
func (c *caddy) liveHeap(ctx context.Context) int64 {
	return c.profile(ctx, "/debug/pprof/heap?gc=1&debug=1", heapAlloc)
}

func (c *caddy) profile(ctx context.Context, path string, number *regexp.Regexp) int64 {
	text, err := c.get(ctx, path)
	if err != nil {
		return -1
	}
	found := number.FindSubmatch(text)
	if found == nil {
		return -1
	}
	n, err := strconv.ParseInt(string(found[1]), 10, 64)
	if err != nil {
		return -1
	}
	return n
}
