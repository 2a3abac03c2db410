// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
)

// patience bounds every single step of a journey. A step takes milliseconds; a minute is what a busy machine with two
// cores and the race detector may make of it.
const patience = time.Minute

// scratch holds the browser's profile for as long as the tests run.
var scratch string

func TestMain(m *testing.M) {
	os.Exit(run(m)) //nolint:forbidigo // the only way to hand a test binary's result over
}

func run(m *testing.M) int {
	var err error
	scratch, err = os.MkdirTemp("", "e2e-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a scratch folder:", err)
		return 1
	}
	defer os.RemoveAll(scratch)
	defer caddyprocess.Remove()
	defer closeBrowser()
	return m.Run()
}
