// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// watched is everything that a gate and its app log from now on, at every level.
type watched struct {
	*observer.ObservedLogs
	into *zap.Logger
}

func watchLog(g *Gate) watched {
	core, logs := observer.New(zapcore.DebugLevel)
	logger := zap.New(core)
	g.logger, g.app.logger = logger, logger
	return watched{logs, logger}
}

// logger writes where the gate does.
func (w watched) logger() *zap.Logger { return w.into }

// text is all that was logged, message and fields.
func (w watched) text() string {
	var b strings.Builder
	for _, entry := range w.All() {
		fmt.Fprintf(&b, "%s %s %v\n", entry.Level, entry.Message, entry.ContextMap())
	}
	return b.String()
}

// above are the lines that an operator sees who has not asked for debugging.
func (w watched) above() []string {
	var lines []string
	for _, entry := range w.All() {
		if entry.Level > zapcore.DebugLevel {
			lines = append(lines, fmt.Sprintf("%s %v", entry.Message, entry.ContextMap()))
		}
	}
	return lines
}

// fields are those of the only line with the message.
func (w watched) fields(t *testing.T, message string) map[string]any {
	t.Helper()
	found := w.FilterMessage(message).All()
	if len(found) != 1 {
		t.Fatalf("%d lines %q, want one; logged:\n%s", len(found), message, w.text())
	}
	return found[0].ContextMap()
}
