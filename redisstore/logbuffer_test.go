// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// logBuffer is what a store has told the operator. It may be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// count says how often a text stands in the log.
func (b *logBuffer) count(text string) int { return strings.Count(b.String(), text) }
