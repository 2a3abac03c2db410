// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
)

// caddyBinary returns the path of the server under test, built once per run from this checkout.
func caddyBinary(t *testing.T) string {
	t.Helper()
	path, err := buildCaddy()
	if err != nil {
		t.Fatalf("building Caddy: %v", err)
	}
	return path
}

var buildCaddy = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "caddy")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	arguments := []string{"build", "-o", path, fmt.Sprintf("-race=%t", raceDetector())}
	// Not bound to the test that happens to come first: the others wait for the same build.
	build := exec.Command("go", append(arguments, "../cmd/caddy")...)
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, output)
	}
	return path, nil
})

// raceDetector tells whether this test is built with the race detector, and so the server should be.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
