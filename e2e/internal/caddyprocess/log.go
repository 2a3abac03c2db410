// SPDX-License-Identifier: Apache-2.0

package caddyprocess

import (
	"bytes"
	"context"
	"sync"
)

// Log keeps what a process writes and wakes those who wait for a text in it.
type Log struct {
	mu      sync.Mutex
	content bytes.Buffer
	changed chan struct{} // closed and replaced at each write
}

// NewLog returns an empty log.
func NewLog() *Log { return &Log{changed: make(chan struct{})} }

// Write implements [io.Writer].
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.content.Write(p)
}

// Hold makes the log take nothing more until it is released: whoever writes to it waits. It cannot be read meanwhile.
func (l *Log) Hold() (release func()) {
	l.mu.Lock()
	return l.mu.Unlock
}

// String returns all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.content.String()
}

// Contains reports whether the text has been written.
func (l *Log) Contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.content.Bytes(), []byte(text))
}

// Wait returns when the text has been written, or with the context's cause when that ends first.
func (l *Log) Wait(ctx context.Context, text string) error {
	for {
		l.mu.Lock()
		found, changed := bytes.Contains(l.content.Bytes(), []byte(text)), l.changed
		l.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
