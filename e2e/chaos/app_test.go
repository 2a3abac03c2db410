// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Headers by which a node tells the app, and visitors, who it is and which config it has.
const (
	nodeHeader   = "X-Chaos-Node"
	policyHeader = "X-Chaos-Policy"
	askHeader    = "X-Chaos-Ask"
)

// app stands behind the gate, believes every header and writes them down. It tells the visitor which session it was.
func (w *world) app(answer http.ResponseWriter, r *http.Request) {
	score, _ := strconv.ParseFloat(r.Header.Get("X-Score"), 64) // none is 0
	node, err := strconv.Atoi(r.Header.Get(nodeHeader))
	if err != nil {
		w.t.Errorf("the app was asked by no node: %v", r.Header)
	}
	p := Passage{
		At: time.Now(), Ask: r.Header.Get(askHeader), Node: node, Policy: r.Header.Get(policyHeader), Session: r.Header.Get("X-Session"),
		Subject: r.Header.Get("X-Verified-Id-Subject"), Name: r.Header.Get("X-Name"), Score: score,
	}
	w.recorder.keep(func(h *History) { h.Passages = append(h.Passages, p) })
	answer.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(answer).Encode(map[string]string{"session": p.Session}); err != nil {
		return // the visitor or the node has gone
	}
}
