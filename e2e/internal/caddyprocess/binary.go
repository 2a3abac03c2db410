// SPDX-License-Identifier: Apache-2.0

package caddyprocess

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
)

// Binary returns the path of the server under test, built once per run from this checkout.
func Binary(t *testing.T) string {
	t.Helper()
	path, err := buildCaddy()
	if err != nil {
		t.Fatalf("building Caddy: %v", err)
	}
	return path
}

const module = "github.com/caddy-verified-id/caddy-verified-id"

// scratch is the folder of the binary.
var scratch = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "caddyprocess-*") })

// Remove takes away what [Binary] has built. TestMain calls it after the tests.
func Remove() {
	if folder, err := scratch(); err == nil {
		_ = os.RemoveAll(folder)
	}
}

var buildCaddy = sync.OnceValues(func() (string, error) {
	folder, err := scratch()
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "caddy")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	arguments := []string{"build", "-o", path, fmt.Sprintf("-race=%t", raceDetector())}
	// Not bound to the test that happens to come first: the others wait for the same build.
	build := exec.Command("go", append(arguments, module+"/cmd/caddy")...) //nolint:gosec // flags of our own
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
