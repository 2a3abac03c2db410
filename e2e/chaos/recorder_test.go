// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"encoding/json"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
)

// recorder collects what everybody writes down.
type recorder struct {
	mu      sync.Mutex
	history History
	// logs are those of every process that has run, by node.
	logs [][]*caddyprocess.Log
}

// keep runs the function with the history, alone.
func (r *recorder) keep(write func(*History)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	write(&r.history)
}

func (r *recorder) did(d Deed) { r.keep(func(h *History) { h.Deeds = append(h.Deeds, d) }) }

// read returns the whole history, the audit logs of all nodes included.
func (r *recorder) read() *History {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history.Audit = nil
	for node, logs := range r.logs {
		for _, log := range logs {
			r.history.Audit = append(r.history.Audit, auditLines(node, log.String())...)
		}
	}
	return &r.history
}

// auditLines are the lines of verified_id.audit in a node's log.
func auditLines(node int, log string) (lines []AuditLine) {
	for text := range strings.Lines(log) {
		var line struct {
			TS                           float64
			Logger, Msg, Subject, Reason string
			RequestID                    string `json:"request_id"`
			SessionID                    string `json:"session_id"`
			KickstartID                  string `json:"kickstart_id"`
		}
		if json.Unmarshal([]byte(text), &line) != nil || line.Logger != "verified_id.audit" {
			continue // cut by a kill, or another logger's
		}
		whole, part := math.Modf(line.TS)
		lines = append(lines, AuditLine{
			Node: node, At: time.Unix(int64(whole), int64(part*1e9)), Event: line.Msg,
			Request: line.RequestID, Session: line.SessionID, Subject: line.Subject, Reason: line.Reason,
			Kickstart: line.KickstartID,
		})
	}
	return lines
}
