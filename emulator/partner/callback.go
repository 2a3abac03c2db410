// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
)

// maxCallbackBytes is plenty: issuance callbacks carry no credential.
const maxCallbackBytes = 64 << 10

// issuanceCallback is what the Request Service posts ("issuance request API", callback events).
type issuanceCallback struct {
	RequestID     string `json:"requestId"`
	RequestStatus string `json:"requestStatus"`
	State         string `json:"state"`
	Error         struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// callback moves a visit on. The key is the only thing that tells the service from a
// stranger, so nothing is looked at more closely before it fits.
func (p *Partner) callback(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxCallbackBytes))
	if err != nil {
		http.Error(w, "unreadable body", http.StatusBadRequest)
		return
	}
	var c issuanceCallback
	if err := json.Unmarshal(body, &c); err != nil {
		http.Error(w, "not JSON", http.StatusBadRequest)
		return
	}
	v, known := p.visits.withState(c.State, p.cfg.Now())
	key := sha256.Sum256([]byte(r.Header.Get("Api-Key")))
	if !known || subtle.ConstantTimeCompare(key[:], v.request.keyHash[:]) != 1 {
		http.Error(w, "wrong key or unknown state", http.StatusUnauthorized)
		return
	}
	if c.RequestID != v.request.requestID {
		http.Error(w, "the state belongs to another request", http.StatusBadRequest)
		return
	}

	if v.org.Fault == FaultCallback {
		failCallback(w)
		return
	}
	var next stage
	switch c.RequestStatus {
	case "request_retrieved":
		next = stageRetrieved
	case "issuance_successful":
		next = stageIssued
	case "issuance_error":
		next = stageFailed
	default:
		http.Error(w, "unknown requestStatus", http.StatusBadRequest)
		return
	}
	v = p.visits.update(v.id, func(v *visit) {
		// Callbacks may come out of order, and a new code may have taken this one's place.
		if v.request.requestID != c.RequestID || (next == stageRetrieved && v.stage != stageCard) {
			return
		}
		v.stage = next
		if next == stageFailed {
			v.problem = "The wallet or the service reported: " + c.Error.Code + " " + c.Error.Message
		}
	})
	p.log(r.Context(), "issuance callback", v, slog.String("request_id", c.RequestID), slog.String("request_status", c.RequestStatus))
	w.WriteHeader(http.StatusNoContent)
}
