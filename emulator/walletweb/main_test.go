// SPDX-License-Identifier: Apache-2.0

package walletweb_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Nothing may go on running when the pages are closed: the wallet lives inside a Caddy that
// reloads.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
