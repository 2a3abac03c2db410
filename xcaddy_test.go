// SPDX-License-Identifier: Apache-2.0

package verifiedid_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// Pinned, because a build that comes out differently tomorrow shows nothing. The Caddy version is the one in go.mod.
const xcaddy = "github.com/caddyserver/xcaddy/cmd/xcaddy@v0.4.5"

// productionModules are the modules that a build with this plugin has and Caddy alone has not: no more and no fewer, so
// that a module that was forgotten here, or in the documentation, is noticed.
var productionModules = []string{
	"admin.api.verified_id",
	"http.handlers.verified_id",
	"http.handlers.verified_id_callback",
	"http.handlers.verified_id_strip",
	"http.verified_id.stores.memory",
	"verified_id",
}

// withRedis is what a second --with adds.
const withRedis = "http.verified_id.stores.redis"

// Operators build with xcaddy from the root package, and from that of the store if they have several nodes. What comes out
// has our modules and no emulator, which would hand a credential to whoever asks.
func TestBuildWithXcaddy(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles a whole Caddy")
	}
	version, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", "github.com/caddyserver/caddy/v2").Output()
	if err != nil {
		t.Fatalf("asking for Caddy's version: %v", err)
	}
	proxy := unpublishedProxy(t)
	for name, with := range map[string][]string{"plain": nil, "redis": {"--with", module + "/redisstore"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			binary := filepath.Join(t.TempDir(), "caddy")
			if runtime.GOOS == "windows" {
				binary += ".exe"
			}

			// Any version of ours, so that nobody is asked which ones are published.
			args := append([]string{"run", xcaddy, "build", strings.TrimSpace(string(version)), "--with", module + "@v0.0.0=.", "--output", binary}, with...)
			build := exec.CommandContext(t.Context(), "go", args...)
			build.Env = append(append(os.Environ(), xcaddyEnvironment()...), "GOPROXY="+proxy)
			if output, err := build.CombinedOutput(); err != nil {
				t.Fatalf("xcaddy build: %v\n%s", err, output)
			}

			got, want := listModules(t, binary, "--skip-standard"), slices.Clone(productionModules)
			if with != nil {
				want = append(want, withRedis)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("list-modules names\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
		})
	}
}

// unpublishedProxy is a module proxy that knows nothing of ours, so that the go command looks for our packages in the module
// that this checkout is. It leaves all else to the proxy in use.
func unpublishedProxy(t *testing.T) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "go", "env", "GOPROXY").Output()
	if err != nil {
		t.Fatalf("asking for the module proxy: %v", err)
	}
	inUse, _, _ := strings.Cut(strings.TrimSpace(string(output)), ",")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/"+module+"/") {
			http.NotFound(w, r)
			return
		}
		http.Redirect(w, r, strings.TrimSuffix(inUse, "/")+r.URL.EscapedPath(), http.StatusFound) //nolint:gosec // to the proxy in use
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// xcaddyEnvironment makes xcaddy compile as this test was compiled, which leaves nothing out and finds nearly all of
// Caddy compiled already.
func xcaddyEnvironment() []string {
	flags := "-race=false" // any flag replaces xcaddy's own
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		flags = "-race"
	}
	return []string{"XCADDY_GO_BUILD_FLAGS=" + flags, "CGO_ENABLED=1", "XCADDY_SETCAP=0"}
}

// listModules returns the IDs that `caddy list-modules` prints, one a line, before the summary.
func listModules(t *testing.T, binary string, flags ...string) []string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), binary, append([]string{"list-modules"}, flags...)...).Output()
	if err != nil {
		t.Fatalf("caddy list-modules: %v", err)
	}
	ids := []string{}
	for line := range strings.Lines(string(output)) {
		if id := strings.TrimSpace(line); id != "" && !strings.Contains(id, " ") {
			ids = append(ids, id)
		}
	}
	return ids
}
