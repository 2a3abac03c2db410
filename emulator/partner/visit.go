// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"sync"
	"time"
)

const (
	visitLifetime = time.Hour
	maxVisits     = 1000

	// fetchedGrace is how long after the end of a code an answer may still come, when the
	// wallet fetched the request in time: the person may be reading or typing a PIN.
	fetchedGrace = 2 * time.Minute
)

// stage is how far a visit has come.
type stage string

const (
	stageDocument  stage = "document"  // the form is to be filled in
	stageSelfie    stage = "selfie"    // the picture is to be taken
	stageCard      stage = "card"      // the code is on the page
	stageRetrieved stage = "retrieved" // the wallet has fetched the request
	stageIssued    stage = "issued"    // the card is in the wallet
	stageFailed    stage = "failed"    // the service or the wallet said no
	stageAbandoned stage = "abandoned" // the person left
)

// final stages are never left.
func (s stage) final() bool { return s == stageIssued || s == stageAbandoned }

// visit is one person's way through the pages. Values are copies; the original is changed
// only through [visits.update].
type visit struct {
	id         string
	org        *organisation
	kickstart  Kickstart
	begun      time.Time
	stage      stage
	person     Person
	credential *Credential
	portrait   []byte // JPEG; nil until the picture is taken
	request    issuance
	problem    string        // why it failed, for the page
	changed    chan struct{} // closed at the next change
}

// issuance is one request to the service.
type issuance struct {
	requestID string
	state     string
	keyHash   [32]byte // of the callback's api-key
	deepLink  string
	pin       string
	expires   time.Time
}

// end is when the code on the page stops being of use.
func (v *visit) end() time.Time {
	if v.stage == stageRetrieved {
		return v.request.expires.Add(fetchedGrace)
	}
	return v.request.expires
}

func (v *visit) expired(now time.Time) bool {
	return (v.stage == stageCard || v.stage == stageRetrieved) && !now.Before(v.end())
}

// visits keeps the people who are here, and the RequestIds that were used. Everything is in
// memory and bounded: an emulator that was left running must not grow.
type visits struct {
	mu      sync.Mutex
	byID    map[string]*visit
	byState map[string]string    // callback state → visit id
	spent   map[string]time.Time // organisation and RequestId → end of the token's life
}

func newVisits() *visits {
	return &visits{byID: map[string]*visit{}, byState: map[string]string{}, spent: map[string]time.Time{}}
}

// spend uses up a RequestId of an organisation; false if it was used before. It is remembered
// as long as the token that carried it could come again.
func (vs *visits) spend(org, requestID string, until, now time.Time) bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for k, end := range vs.spent {
		if !now.Before(end) {
			delete(vs.spent, k)
		}
	}
	key := org + " " + requestID // an ID holds no blank
	if _, used := vs.spent[key]; used {
		return false
	}
	vs.spent[key] = until
	return true
}

// add keeps v. Visits that are over are dropped; when the house is full, the oldest goes.
func (vs *visits) add(v visit) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	var oldest *visit
	for _, other := range vs.byID {
		if v.begun.Sub(other.begun) >= visitLifetime {
			vs.drop(other)
		} else if oldest == nil || other.begun.Before(oldest.begun) {
			oldest = other
		}
	}
	if len(vs.byID) >= maxVisits {
		vs.drop(oldest)
	}
	v.changed = make(chan struct{})
	vs.byID[v.id] = &v
}

func (vs *visits) drop(v *visit) {
	delete(vs.byID, v.id)
	delete(vs.byState, v.request.state)
	close(v.changed)
}

func (vs *visits) get(id string, now time.Time) (visit, bool) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v, ok := vs.byID[id]
	if !ok || now.Sub(v.begun) >= visitLifetime {
		return visit{}, false
	}
	return *v, true
}

func (vs *visits) withState(state string, now time.Time) (visit, bool) {
	vs.mu.Lock()
	id := vs.byState[state]
	vs.mu.Unlock()
	v, ok := vs.get(id, now)
	return v, ok && v.request.state == state
}

// update changes the visit unless it has reached a final stage, and wakes those who wait for
// it. It returns the visit as it is afterwards.
func (vs *visits) update(id string, change func(*visit)) visit {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v, ok := vs.byID[id]
	if !ok {
		return visit{}
	}
	if v.stage.final() {
		return *v
	}
	before := v.request.state
	change(v)
	if v.request.state != before {
		delete(vs.byState, before)
		vs.byState[v.request.state] = id
	}
	close(v.changed)
	v.changed = make(chan struct{})
	return *v
}
