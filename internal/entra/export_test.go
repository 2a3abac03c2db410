// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"context"
	"log/slog"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// NewTestSource returns a source that fetches with the function given and does not jitter.
func NewTestSource(fetch func(context.Context) (azcore.AccessToken, error), now func() time.Time, logger *slog.Logger) *Source {
	s := newSource(fetch, now, logger)
	s.jitter = func(time.Duration) time.Duration { return 0 }
	return s
}

// Jitter is what a source jitters with outside tests.
func Jitter(d time.Duration) time.Duration { return jitter(d) }
