// SPDX-License-Identifier: Apache-2.0

// Package e2e shows, as a visitor would see it, that the gate keeps its promises: journeys in Chromium through the real
// binary of cmd/caddy, with the emulator as service, wallet and partner, and an app that knows nothing of any of it.
//
// It holds only tests. Each journey is named after what it shows and runs in a browser profile of its own, against a
// Caddy of its own on free loopback ports, with its own home directory. Nothing outside the machine is asked.
//
//	go test ./e2e -run TestVisitorWithCardGetsIn
//
// A journey that fails shows Caddy's log, what the browser's console said, and where a picture of the page lies. The
// binary is built with the race detector when the tests are, and a race it reports is a failure of the journey.
//
// Chromium must be installed (Debian: apt-get install chromium); its absence is a failure, not a skipped test. The
// environment variable CHROMIUM names another binary.
package e2e
