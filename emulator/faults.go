// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"sync"
	"time"
)

// API names one thing the emulator answers.
type API string

// APIs that can be made to fail with [Faults.Inject].
const (
	APIToken              API = "token"
	APIDiscovery          API = "discovery"
	APICreatePresentation API = "createPresentationRequest"
	APICreateIssuance     API = "createIssuanceRequest"
	APIRequestObject      API = "requestObject" // what the wallet fetches at request_uri
	APIVerifyPresentation API = "verifyPresentation"
	APIIssue              API = "issue"
	APICompleteIssuance   API = "completeIssuance"
	APIManifest           API = "manifest"
	APIResolver           API = "resolver" // DID documents and did-configuration
	APIStatusList         API = "statusList"
	APINetwork            API = "network" // the search for issuers and their credential types
)

// Fault is one way in which an API fails.
type Fault struct {
	// Status is answered with the service's own error body, or Entra's at the token endpoint. 0: the API does its work.
	Status int
	// InnerCode, InnerMessage and Target go into the error body. Empty: what is usual for Status.
	InnerCode, InnerMessage, Target string
	// NoInnerError leaves the inner error out, as some answers of the real service do.
	NoInnerError bool
	// RetryAfter is sent as the header of that name, in seconds or as a date. Empty: no header, as documented.
	RetryAfter string
	// Body and ContentType replace the error body, for example with a proxy's HTML page.
	Body, ContentType string
	// Truncate does the API's work but cuts the answer in half and breaks the connection.
	Truncate bool
	// Delay waits before answering.
	Delay time.Duration
	// Hang never answers, until the caller gives up or the emulator is closed.
	Hang bool
	// Times is how many requests fail. 0: all, until [Faults.Clear].
	Times int
}

// CallbackFault is one way in which callbacks arrive other than they should.
type CallbackFault struct {
	// Status limits the fault to callbacks with this requestStatus. Empty: the final ones, all but request_retrieved.
	Status string
	// Duplicate sends the callback this many times more.
	Duplicate int
	// Drop sends nothing. The wallet hears of success.
	Drop bool
	// Hold keeps the callback until [Emulator.DeliverHeld], for example past the expiry.
	Hold bool
	// Reorder keeps request_retrieved until the final callback has been delivered. It needs Status request_retrieved.
	Reorder bool
	// WrongKey sends other values in the callback's own headers, NoKey leaves them out.
	WrongKey, NoKey bool
	// UnknownState and WrongRequestID replace these values by fresh ones.
	UnknownState, WrongRequestID bool
	// ExtraFields adds members that no document lists, at every level.
	ExtraFields bool
	// OmitOptional leaves out domainValidation, issuanceDate, expirationDate and sourcePhotoQuality.
	OmitOptional bool
	// OmitFaceCheck leaves the Face Check result out although it was asked for.
	OmitFaceCheck bool
	// HugeClaims adds a claim of that many bytes.
	HugeClaims int
	// Claims overwrites claims after they were verified, so that the callback contradicts the receipt.
	Claims map[string]string
	// ErrorCode turns the result into presentation_error (issuance_error) with this code.
	ErrorCode string
	// LongSubject makes the holder DID longer than 750 characters.
	LongSubject bool
	// Truncate sends the first half of the body as if it were the whole.
	Truncate bool
	// Times is how many callbacks are hit. 0: all, until [Faults.Clear].
	Times int
}

// Faults are the switches for things going wrong. They can be moved at any time; it is safe for concurrent use.
type Faults struct {
	mu        sync.Mutex
	apis      map[API][]Fault
	callbacks []CallbackFault
}

// Inject makes an API fail. Faults of one API are used up in the order in which they were injected; one without
// Times stays for good and hides those behind it.
func (f *Faults) Inject(api API, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.apis == nil {
		f.apis = make(map[API][]Fault)
	}
	f.apis[api] = append(f.apis[api], fault)
}

// InjectCallback makes callbacks arrive wrongly. A callback meets the first fault that fits its status.
func (f *Faults) InjectCallback(fault CallbackFault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.callbacks = append(f.callbacks, fault)
}

// Clear removes every fault. Callbacks that are held stay held.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.apis, f.callbacks = nil, nil
}

// Active returns how many faults are waiting or lasting, for a page that has to warn of them.
func (f *Faults) Active() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.callbacks)
	for _, faults := range f.apis {
		n += len(faults)
	}
	return n
}

// next takes the fault that the next request of an API meets.
func (f *Faults) next(api API) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	faults := f.apis[api]
	if len(faults) == 0 {
		return Fault{}, false
	}
	fault := faults[0]
	switch {
	case fault.Times > 1:
		faults[0].Times--
	case fault.Times == 1:
		f.apis[api] = faults[1:]
	}
	return fault, true
}

// nextCallback takes the fault that a callback of this status meets.
func (f *Faults) nextCallback(status string) (CallbackFault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.callbacks {
		if fault.Status != status && (fault.Status != "" || status == statusRetrieved) {
			continue
		}
		switch {
		case fault.Times > 1:
			f.callbacks[i].Times--
		case fault.Times == 1:
			f.callbacks = append(f.callbacks[:i:i], f.callbacks[i+1:]...)
		}
		return fault, true
	}
	return CallbackFault{}, false
}
