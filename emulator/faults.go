// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"sync"
	"time"
)

// API names one thing the emulator answers, for [Faults.Inject].
type API string

// APIs that can be made to fail.
const (
	APIToken              API = "token"
	APICreatePresentation API = "createPresentationRequest"
	APICreateIssuance     API = "createIssuanceRequest"
	APIRequestObject      API = "requestObject"
	APIVerifyPresentation API = "verifyPresentation"
	APIIssue              API = "issue"
	APICompleteIssuance   API = "completeIssuance"
	APIManifest           API = "manifest"
	APIResolver           API = "resolver"
)

// Fault is one way in which an API fails.
type Fault struct {
	// Status is answered with the service's own error body (Entra's own at the token endpoint). 0: the API does its work.
	Status int
	// InnerCode, InnerMessage and Target go into the error body. Empty: what is usual for Status.
	InnerCode, InnerMessage, Target string
	// RetryAfter is sent as the header of that name. Empty: no header, as documented.
	RetryAfter string
	// Body and ContentType replace the service's error body, for example with a proxy's HTML page.
	Body, ContentType string
	// Truncate cuts the answer in half and breaks the connection.
	Truncate bool
	// Delay waits before answering.
	Delay time.Duration
	// Hang never answers, until the caller gives up.
	Hang bool
	// Times is how many requests fail. 0: all, until [Faults.Clear].
	Times int
}

// CallbackFault is one way in which callbacks arrive other than they should.
type CallbackFault struct {
	// Status limits the fault to callbacks with this requestStatus. Empty: the final ones.
	Status string
	// Duplicate sends the callback this many times more.
	Duplicate int
	// Drop sends nothing.
	Drop bool
	// Hold keeps the callback until [Emulator.DeliverHeld], for example past the expiry.
	Hold bool
	// Reorder keeps request_retrieved until after the final callback.
	Reorder bool
	// WrongKey sends another value in the callback's own headers, NoKey leaves them out.
	WrongKey, NoKey bool
	// UnknownState and WrongRequestID replace these values by fresh ones.
	UnknownState, WrongRequestID bool
	// ExtraFields adds members that no document lists, at every level.
	ExtraFields bool
	// OmitOptional leaves out what documents call optional.
	OmitOptional bool
	// HugeClaims adds a claim of that many bytes.
	HugeClaims int
	// ErrorCode turns a verified result into presentation_error with this code.
	ErrorCode string
	// LongSubject makes the holder DID at least 750 characters long.
	LongSubject bool
	// Times is how many callbacks are hit. 0: all, until [Faults.Clear].
	Times int
}

// Faults are the switches for things going wrong. They can be moved at any time; it is safe for concurrent use.
type Faults struct {
	mu        sync.Mutex
	apis      map[API][]Fault
	callbacks []CallbackFault
}

// Inject makes an API fail. Faults of one API are used up in the order they were injected.
func (f *Faults) Inject(api API, fault Fault) {}

// InjectCallback makes callbacks arrive wrongly.
func (f *Faults) InjectCallback(fault CallbackFault) {}

// Clear removes every fault.
func (f *Faults) Clear() {}
