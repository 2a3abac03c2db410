// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

func init() {
	redis.SetLogger(libraryLog{})
}

// libraryLog takes what go-redis would write to the standard error: each connection that fails, again and again. It is for
// whoever looks for a fault; that the store does not answer is said once, by the store.
type libraryLog struct{}

// Printf implements the library's interface.
func (libraryLog) Printf(_ context.Context, format string, v ...any) {
	if entry := caddy.Log().Named("verified_id.redis").Check(zap.DebugLevel, "redis client"); entry != nil {
		entry.Write(zap.String("message", fmt.Sprintf(format, v...)))
	}
}

// followingLog hands records to the logger of the config that runs: a store outlives the config that opened it.
type followingLog struct {
	current *atomic.Pointer[slog.Logger]
	derive  func(slog.Handler) slog.Handler
}

func newFollowingLog(logger *slog.Logger) *followingLog {
	l := &followingLog{current: new(atomic.Pointer[slog.Logger]), derive: func(h slog.Handler) slog.Handler { return h }}
	l.follow(logger)
	return l
}

func (l *followingLog) follow(logger *slog.Logger) { l.current.Store(logger) }

func (l *followingLog) handler() slog.Handler { return l.derive(l.current.Load().Handler()) }

// Enabled implements slog.Handler.
func (l *followingLog) Enabled(ctx context.Context, level slog.Level) bool {
	return l.handler().Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (l *followingLog) Handle(ctx context.Context, r slog.Record) error {
	return l.handler().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *followingLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &followingLog{l.current, func(h slog.Handler) slog.Handler { return l.derive(h).WithAttrs(attrs) }}
}

// WithGroup implements slog.Handler.
func (l *followingLog) WithGroup(name string) slog.Handler {
	return &followingLog{l.current, func(h slog.Handler) slog.Handler { return l.derive(h).WithGroup(name) }}
}
