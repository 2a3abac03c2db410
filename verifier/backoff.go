// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// maxPause is the longest pause that is believed.
	maxPause = time.Minute

	// defaultPause is taken if the service asks for a pause without saying how long. Tenants in quick setup have two
	// requests a second.
	defaultPause = time.Second

	// breakerFailures in a row, and the service gets breakerPause without calls: it is down, and visitors get their answer
	// at once instead of after the last retry.
	breakerFailures = 20
	breakerPause    = 5 * time.Second
)

// backoff is the pause all callers of a client share. Its zero value is ready.
type backoff struct {
	mu       sync.Mutex
	until    time.Time
	failures int
}

// remaining returns how long nobody may call. A clock that is set back does not make the pause longer than it can be.
func (b *backoff) remaining(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	remaining := b.until.Sub(now)
	if remaining > maxPause {
		b.until = time.Time{}
		return 0
	}
	return max(remaining, 0)
}

// pause is what the service asked for.
func (b *backoff) pause(now time.Time, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.extend(now.Add(min(d, maxPause)))
}

// failed counts a failure that is the service's.
func (b *backoff) failed(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	if b.failures >= breakerFailures {
		b.extend(now.Add(breakerPause))
	}
}

func (b *backoff) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = 0
}

func (b *backoff) extend(until time.Time) {
	if until.After(b.until) {
		b.until = until
	}
}

// busyError is [ErrBusy] with the pause that is left.
type busyError struct{ pause time.Duration }

func (e *busyError) Error() string {
	return fmt.Sprintf("%v: not called for another %v", ErrBusy, e.pause.Round(time.Second))
}

func (e *busyError) Is(target error) bool { return target == ErrBusy }

// RetryAfter returns how long a caller should wait after the given error of a [Client] call, at most a minute. 0 if the error
// says nothing about it.
func RetryAfter(err error) time.Duration {
	if busy, ok := errors.AsType[*busyError](err); ok {
		return busy.pause
	}
	if serviceError, ok := errors.AsType[*ServiceError](err); ok {
		return serviceError.RetryAfter
	}
	return 0
}
