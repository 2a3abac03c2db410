// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"fmt"
	"time"
)

// VisitorAdvice is what a visitor may be told about a failed call. The set is closed.
type VisitorAdvice string

const (
	// Unavailable: identity checks are not available right now; quote the support code.
	Unavailable VisitorAdvice = "unavailable"

	// Busy: try again in a moment.
	Busy VisitorAdvice = "busy"
)

// ServiceError is an answer of the service other than success.
type ServiceError struct {
	// Status is the HTTP status.
	Status int

	// Code, InnerCode and Target are the service's words, from open sets, bounded and reduced to printable ASCII.
	Code, InnerCode, Target string

	// RequestID and MSCV name the call for Microsoft's support.
	RequestID, MSCV string

	// RetryAfter is how long the service asks to be left alone. 0: it does not say.
	RetryAfter time.Duration
}

// Error returns status and code.
func (e *ServiceError) Error() string {
	return fmt.Sprintf("request service answered %d (%s)", e.Status, e.Code)
}

// Visitor says what to tell the visitor.
func (e *ServiceError) Visitor() VisitorAdvice { return Unavailable }

// Operator says what to mend.
func (e *ServiceError) Operator() string { return "" }

// Temporary says whether the same call may succeed later without anybody changing anything.
func (e *ServiceError) Temporary() bool { return false }
