// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// browserNames are where Chromium or its kin is looked for, after $CHROMIUM. scripts/prepare looks for the same.
var browserNames = []string{
	"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
	"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	`C:\Program Files\Google\Chrome\Application\chrome.exe`,
}

var errNoBrowser = errors.New("no Chromium found: install one (Debian: apt-get install chromium), " +
	"or name its binary in the environment variable CHROMIUM")

// closeBrowser ends Chromium, if one was started.
var closeBrowser = func() {}

// startBrowser returns the context of the one Chromium of this run. Each visitor gets a profile of their own in it.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	ctx, err := launchBrowser()
	if err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	return ctx
}

var launchBrowser = sync.OnceValues(func() (context.Context, error) {
	path, err := findBrowser()
	if err != nil {
		return nil, err
	}
	// Not bound to the test that happens to come first: closeBrowser ends it.
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), browserOptions(path)...)
	ctx, cancel := chromedp.NewContext(allocator)
	closeBrowser = func() {
		cancel()
		cancelAllocator()
	}
	return ctx, chromedp.Do(ctx)
})

func findBrowser() (string, error) {
	if named := os.Getenv("CHROMIUM"); named != "" {
		return exec.LookPath(named)
	}
	for _, name := range browserNames {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoBrowser
}

// browserOptions are a headless Chromium that asks nobody anything on its own account and starts with nothing remembered.
func browserOptions(path string) []chromedp.ExecAllocatorOption {
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path),
		chromedp.UserDataDir(filepath.Join(scratch, "profile")),
		chromedp.Headless,
		chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck,
		chromedp.DisableGPU,
		chromedp.IgnoreCertErrors, // the world's certificates are of its own authority
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-default-apps", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-extensions", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("metrics-recording-only", true),
		// Several visitors share the browser; none of them is in the foreground.
		chromedp.Flag("disable-background-timer-throttling", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true),
		chromedp.Flag("disable-renderer-backgrounding", true),
	}
	// Chromium's sandbox refuses to run as root, and inside most containers.
	if runtime.GOOS == "linux" {
		options = append(options, chromedp.NoSandbox)
	}
	return options
}
