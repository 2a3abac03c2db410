// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"net/http"
	"time"
)

// Violation is something that must never happen.
type Violation struct{ Rule, What string }

func (v Violation) String() string { return v.Rule + ": " + v.What }

// rules are what must be true of a history, whatever was broken. Each returns what it found against it.
var rules = []struct {
	name  string
	check func(*index) []string
}{
	{"a session has one origin", (*index).origins},
	{"an identity has a session", (*index).sessionless},
	{"nobody is somebody else", (*index).holders},
	{"a result is taken once", (*index).taken},
	{"a forged callback does nothing", (*index).forged},
	{"a link to the partner works once", (*index).links},
	{"nobody returns as somebody else", (*index).returns},
	{"the way leads where it was to", (*index).places},
	{"a stricter policy holds at once", (*index).strict},
	{"what has ended stays ended", (*index).ended},
	{"an outage ends no session", (*index).lost},
	{"an outage clears no cookie", (*index).cleared},
	{"every answer is one of ours", (*index).answers},
	{"every visit ends in a named state", (*index).outcomes},
	{"a result that was taken is not lost", (*index).results},
	{"every answer comes in time", (*index).times},
	{"an outage piles nothing up", (*index).piles},
}

// Check returns every violation of every rule, in the order of the rules.
func Check(h *History) []Violation {
	x := newIndex(h)
	var found []Violation
	for _, rule := range rules {
		for _, what := range rule.check(x) {
			found = append(found, Violation{rule.name, what})
		}
	}
	return found
}

// index is a history by the names by which its parts speak of each other.
type index struct {
	*History
	notes     map[string]*Note        // by Ask
	started   map[string][]*AuditLine // session_started by session
	audit     map[string][]*AuditLine // every line by request
	created   map[string]int          // by request
	delivered map[string][]*Delivery  // by request
	unsure    map[string]bool         // transactions whose result was once taken without an answer of the store
	entered   map[string]*Visit       // visits that led to a session, by it
	left      map[string]time.Time    // when its visitor first tried to log out, by session
}

func newIndex(h *History) *index {
	x := &index{
		History: h, notes: make(map[string]*Note), started: make(map[string][]*AuditLine), audit: make(map[string][]*AuditLine),
		created: make(map[string]int), delivered: make(map[string][]*Delivery), entered: make(map[string]*Visit),
		left: make(map[string]time.Time), unsure: make(map[string]bool),
	}
	for i := range h.Notes {
		n := &h.Notes[i]
		x.notes[n.Ask] = n
		if n.Step == StepFinish && n.Status == http.StatusServiceUnavailable {
			x.unsure[n.Transaction] = true
		}
		if _, ok := x.left[n.Holds]; n.Step == StepLogout && !ok {
			x.left[n.Holds] = n.Began
		}
	}
	for i := range h.Audit {
		line := &h.Audit[i]
		if line.Request != "" {
			x.audit[line.Request] = append(x.audit[line.Request], line)
		}
		if line.Event == eventStarted {
			x.started[line.Session] = append(x.started[line.Session], line)
		}
	}
	for _, c := range h.Created {
		x.created[c.Request]++
	}
	for i := range h.Deliveries {
		d := &h.Deliveries[i]
		x.delivered[d.Request] = append(x.delivered[d.Request], d)
	}
	for i := range h.Visits {
		if v := &h.Visits[i]; v.Session != "" && x.entered[v.Session] == nil {
			x.entered[v.Session] = v
		}
	}
	return x
}

// Events of the audit log and request states of the service that the rules speak of.
const (
	eventRequested = "presentation_requested"
	eventVerified  = "presentation_verified"
	eventStarted   = "session_started"

	eventIDVStarted = "idv_started"

	statusVerified = "presentation_verified"
)

// lines are the audit lines of one kind for a request.
func (x *index) lines(request, event string) (found []*AuditLine) {
	for _, line := range x.audit[request] {
		if line.Event == event {
			found = append(found, line)
		}
	}
	return found
}

// deed returns a deed of the kinds that had a moment in common with the span, or nil.
func (x *index) deed(during Span, kinds ...Kind) *Deed {
	for i := range x.Deeds {
		d := &x.Deeds[i]
		for _, kind := range kinds {
			if d.Kind == kind && d.meets(during) {
				return d
			}
		}
	}
	return nil
}

// sessions are those that reached the app, each once, in the order in which they did.
func (x *index) sessions() (found []string) {
	seen := map[string]bool{"": true}
	for i := range x.Passages {
		if s := x.Passages[i].Session; !seen[s] {
			seen[s] = true
			found = append(found, s)
		}
	}
	return found
}

// requestOf is the presentation request that a session goes back to: by the audit log, or where a node was killed before it could
// write the line, by the visitor.
func (x *index) requestOf(session string) string {
	for _, line := range x.started[session] {
		return line.Request
	}
	if v := x.entered[session]; v != nil {
		return v.Request
	}
	return ""
}

func say(list *[]string, format string, values ...any) {
	*list = append(*list, fmt.Sprintf(format, values...))
}
