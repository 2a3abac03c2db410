// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"fmt"
	"net/http"
	"time"
)

// Stream answers with an event stream that sends one message, "changed", as soon as changed
// is closed or the time is up, and ends there. It also ends when the visitor leaves.
//
// The script reloads the page at that message, which makes every page a plain page: there is
// no second way of drawing a state.
func Stream(w http.ResponseWriter, r *http.Request, changed <-chan struct{}, atMost time.Duration) {
	SecurityHeaders(w.Header())
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	// An opening comment makes browsers and proxies take the stream as begun.
	fmt.Fprint(w, ": waiting\n\n")
	flush := http.NewResponseController(w)
	if err := flush.Flush(); err != nil {
		return
	}
	timeUp := time.NewTimer(max(0, atMost))
	defer timeUp.Stop()
	select {
	case <-changed:
	case <-timeUp.C:
	case <-r.Context().Done():
		return
	}
	fmt.Fprint(w, "event: changed\ndata: changed\n\n")
	_ = flush.Flush() // nobody is left to tell when this fails
}
