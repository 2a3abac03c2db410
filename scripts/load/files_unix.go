// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin

package main

import "syscall"

// raiseFileLimit takes all the descriptors that this process may have, for itself and the servers that it starts, and
// returns how many those are.
func raiseFileLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	wanted := limit
	wanted.Max = max(limit.Max, 65_536)
	wanted.Cur = wanted.Max
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &wanted) == nil {
		return wanted.Cur
	}
	limit.Cur = limit.Max
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return limit.Cur
}
