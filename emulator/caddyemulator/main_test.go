// SPDX-License-Identifier: Apache-2.0

package caddyemulator_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Caddy's own background work, which lasts as long as the process, is not ours to end.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*Cache).maintainAssets"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/caddy/v2/modules/caddytls.(*TLS).keepStorageClean.func1"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"), // notices a removed file after 5 s
	)
}
