// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
)

// Values of requestStatus.
const (
	statusRetrieved         = "request_retrieved"
	statusVerified          = "presentation_verified"
	statusPresentationError = "presentation_error"
	statusIssued            = "issuance_successful"
	statusIssuanceError     = "issuance_error"
)

// callbackBody is what a relying party gets.
type callbackBody struct {
	RequestID     string               `json:"requestId"`
	RequestStatus string               `json:"requestStatus"`
	State         string               `json:"state"`
	Subject       string               `json:"subject,omitempty"`
	Credentials   []verifiedCredential `json:"verifiedCredentialsData,omitempty"`
	Receipt       *receipt             `json:"receipt,omitempty"`
	Error         *callbackError       `json:"error,omitempty"`
}

type callbackError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// verifiedCredential is one card that was presented and verified.
type verifiedCredential struct {
	Issuer           string            `json:"issuer"`
	Type             []string          `json:"type"`
	Claims           map[string]string `json:"claims"`
	CredentialState  credentialState   `json:"credentialState"`
	DomainValidation *domainValidation `json:"domainValidation,omitempty"`
	IssuanceDate     string            `json:"issuanceDate,omitempty"`
	ExpirationDate   string            `json:"expirationDate,omitempty"`
	FaceCheck        *faceCheckResult  `json:"faceCheck,omitempty"`
}

type credentialState struct {
	RevocationStatus string `json:"revocationStatus"`
}

type domainValidation struct {
	URL string `json:"url"`
}

type faceCheckResult struct {
	Score   float64 `json:"matchConfidenceScore"`
	Quality string  `json:"sourcePhotoQuality,omitempty"`
}

// receipt is the raw proof. VPToken is one token or an array of them.
type receipt struct {
	IDToken   string `json:"id_token"`
	VPToken   any    `json:"vp_token"`
	State     string `json:"state"`
	FaceCheck string `json:"faceCheck,omitempty"`
}

// message is a callback ready to be sent.
type message struct {
	request       *request
	requestID     string
	requestStatus string
	header        http.Header
	body          []byte
	reordered     bool // waits for the final callback of its request
}

// heldMessages are the callbacks that faults keep back, oldest first.
type heldMessages struct {
	mu   sync.Mutex
	list []message
}

// take removes and returns the messages that pick chooses.
func (h *heldMessages) take(pick func(message) bool) []message {
	h.mu.Lock()
	defer h.mu.Unlock()
	var taken []message
	h.list = slices.DeleteFunc(h.list, func(m message) bool {
		if pick(m) {
			taken = append(taken, m)
			return true
		}
		return false
	})
	return taken
}

func (h *heldMessages) add(m message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, m)
}

// callBack tells the relying party what became of its request and returns what it answered: the record of the
// callback as it was sent, held or dropped. It waits for the answer, because the wallet does too: a relying party that
// fails is seen by the person. There is no second try.
func (e *Emulator) callBack(r *request, body callbackBody) RecordedCallback {
	body.RequestID, body.State = r.id, r.callback.state
	fault, faulty := e.faults.nextCallback(body.RequestStatus)
	m := message{request: r, requestID: body.RequestID, requestStatus: body.RequestStatus, header: make(http.Header)}
	m.header.Set("Content-Type", "application/json; charset=utf-8")
	m.header.Set("ms-cv", e.rand.correlationVector())
	for name, value := range r.callback.headers {
		m.header.Set(name, value)
	}
	var err error
	if m.body, err = json.Marshal(body); err != nil {
		return RecordedCallback{Err: err.Error()}
	}
	if faulty {
		e.spoil(&m, fault, body)
	}
	final := body.RequestStatus != statusRetrieved
	if faulty && (fault.Drop || fault.Hold || fault.Reorder && !final) {
		entry := e.recordOf(m)
		entry.Dropped, entry.Held = fault.Drop, !fault.Drop
		if !fault.Drop {
			m.reordered = fault.Reorder && !fault.Hold
			e.held.add(m)
		}
		e.records.callback(entry)
		return entry
	}
	entry := e.send(m)
	for range fault.Duplicate {
		e.send(m)
	}
	if final {
		for _, late := range e.held.take(func(m message) bool { return m.reordered && m.request == r }) {
			e.send(late)
		}
	}
	return entry
}

// DeliverHeld sends the callbacks that a fault held back, oldest first, and returns what became of them.
func (e *Emulator) DeliverHeld() []RecordedCallback {
	held := e.held.take(func(message) bool { return true })
	sent := make([]RecordedCallback, len(held))
	for i, m := range held {
		sent[i] = e.send(m)
	}
	return sent
}

func (e *Emulator) recordOf(m message) RecordedCallback {
	return RecordedCallback{
		Time: e.Now(), URL: m.request.callback.url, RequestID: m.requestID, RequestStatus: m.requestStatus,
		Header: m.header.Clone(), Body: slices.Clone(m.body[:min(len(m.body), maxRecordedBody)]),
	}
}

// send posts a callback once and records it.
func (e *Emulator) send(m message) RecordedCallback {
	entry := e.recordOf(m)
	status, err := e.post(m)
	if err != nil {
		entry.Err = err.Error()
	}
	entry.Status = status
	e.records.callback(entry)
	e.log.Info("callback sent", "request_id", m.requestID, "request_status", m.requestStatus, "status", status, "error", err)
	return entry
}

func (e *Emulator) post(m message) (int, error) {
	ctx, cancel := context.WithTimeout(e.life, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.request.callback.url, bytes.NewReader(m.body))
	if err != nil {
		return 0, fmt.Errorf("calling back: %w", err)
	}
	req.Header = m.header.Clone()
	resp, err := e.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("calling back: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()                      // read to its end or not of interest
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // lets the connection be used again
	return resp.StatusCode, nil
}

// taken says whether the relying party took the callback, or a fault lets the wallet believe so.
func (c RecordedCallback) taken() bool {
	return c.Held || c.Dropped || c.Status >= 200 && c.Status < 300
}
