// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/skip2/go-qrcode"
)

const (
	// answerGrace is how long after the expiry the wallet may still answer a request it fetched in time. The real
	// value is not known; a Face Check takes a person up to a minute.
	answerGrace = 2 * time.Minute
	// requestMemory is how long a request is remembered after its expiry, for late answers to get a fitting error.
	requestMemory = time.Hour
	maxRequests   = 100_000
	maxNonces     = 16
	qrCodePixels  = 256
)

// request is one presentation or issuance request from its creation to its memory's end.
type request struct {
	id        string
	kind      Kind
	tenant    string
	authority *authority
	created   time.Time
	expires   time.Time
	state     string // towards the wallet; not the relying party's state
	callback  callbackTarget

	presentation *presentationRequest // one of the two is set
	issuance     *issuanceRequest

	definitionID, livenessID string

	mu        sync.Mutex
	nonces    []string // one for each time the wallet fetched the request
	fetched   bool
	answering bool // a wallet's answer is being judged
	done      bool // a final callback was made
	issued    bool // the card was handed out; only touched between startAnswer and endAnswer
}

// requests holds the requests by id and by the state towards the wallet.
type requests struct {
	mu      sync.Mutex
	byID    map[string]*request
	byState map[string]*request
	order   []*request // oldest first, for forgetting
}

// add makes room by forgetting what is old, then remembers r.
func (s *requests) add(r *request, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID, s.byState = make(map[string]*request), make(map[string]*request)
	}
	for len(s.order) > 0 && now.After(s.order[0].expires.Add(requestMemory)) {
		delete(s.byID, s.order[0].id)
		delete(s.byState, s.order[0].state)
		s.order = s.order[1:]
	}
	if len(s.order) >= maxRequests {
		return &serviceError{status: http.StatusTooManyRequests, inner: codeTransient, message: "Too many requests."}
	}
	s.byID[r.id], s.byState[r.state] = r, r
	s.order = append(s.order, r)
	return nil
}

func (s *requests) find(id string) (*request, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.byID[id]
	return r, ok
}

func (s *requests) findByState(state string) (*request, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.byState[state]
	return r, ok
}

// fetch notes that the wallet reads the request and returns a fresh nonce for this reading.
func (r *request) fetch(nonce string, now time.Time) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done || now.After(r.expires) {
		return "", false
	}
	r.fetched = true
	if len(r.nonces) == maxNonces {
		return r.nonces[maxNonces-1], true
	}
	r.nonces = append(r.nonces, nonce)
	return nonce, true
}

// startAnswer reserves the request for one answer of the wallet. Only one answer is judged at a time, and none
// after a final callback.
func (r *request) startAnswer(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done || r.answering || !r.fetched || now.After(r.expires.Add(answerGrace)) {
		return false
	}
	r.answering = true
	return true
}

// endAnswer ends what startAnswer began. final says that the relying party was told the end.
func (r *request) endAnswer(final bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answering = false
	r.done = r.done || final
}

func (r *request) knowsNonce(nonce string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.nonces, nonce)
}

// link is the deep link. The value of request_uri is not percent-encoded: the real service does not do it either.
func (e *Emulator) link(r *request) string {
	kind := "presentationRequests"
	if r.kind == Issuance {
		kind = "issuanceRequests"
	}
	return fmt.Sprintf("openid-vc://?request_uri=%s/v1.0/%s/verifiableCredentials/%s/%s", e.cfg.PublicURL, r.tenant, kind, r.id)
}

// createdAnswer is the 201 of both request APIs.
type createdAnswer struct {
	RequestID string `json:"requestId"`
	URL       string `json:"url"`
	Expiry    int64  `json:"expiry"`
	QRCode    string `json:"qrCode,omitempty"`
}

// open starts a request's life and answers 201.
func (e *Emulator) open(w http.ResponseWriter, r *request, withQRCode bool) error {
	now := e.Now()
	r.id, r.state = e.rand.uuid(), e.rand.opaque()
	r.created, r.expires = now, now.Add(e.cfg.RequestLifetime)
	r.definitionID, r.livenessID = e.rand.uuid(), e.rand.uuid()
	answer := createdAnswer{RequestID: r.id, URL: e.link(r), Expiry: r.expires.Unix()}
	if withQRCode {
		png, err := qrcode.Encode(answer.URL, qrcode.Medium, qrCodePixels)
		if err != nil {
			return fmt.Errorf("drawing QR code: %w", err)
		}
		answer.QRCode = "data:image/png;base64," + base64.StdEncoding.EncodeToString(png)
	}
	if err := e.requests.add(r, now); err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, answer)
	return nil
}
