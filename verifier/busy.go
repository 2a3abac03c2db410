// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"errors"
	"fmt"
	"time"
)

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
