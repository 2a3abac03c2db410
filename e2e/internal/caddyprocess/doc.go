// SPDX-License-Identifier: Apache-2.0

// Package caddyprocess runs the binary of cmd/caddy as a process of its own, for tests that reload, stop or kill it as an
// operator or a power cut does. The binary is built once per test run, with the race detector when the test has it.
package caddyprocess
