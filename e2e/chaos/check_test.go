// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// noon is when the forged histories begin; at is so many milliseconds later.
var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func at(ms int) time.Time       { return noon.Add(time.Duration(ms) * time.Millisecond) }
func span(from, until int) Span { return Span{at(from), at(until)} }

// good is a history in which two visitors got in, on three nodes that share a store, and nothing was broken. Ana logged out in the
// end, and Ben is still in.
func good() *History {
	h := &History{SharedStore: true}
	for i, name := range []string{"Ana", "Ben"} {
		base, request, session, subject := i*10, "request of "+name, "session of "+name, "subject of "+name
		transaction := "transaction of " + name
		h.Audit = append(h.Audit,
			AuditLine{Node: 0, At: at(base + 100), Event: eventRequested, Request: request},
			AuditLine{Node: 1, At: at(base + 300), Event: eventVerified, Request: request, Subject: subject},
			AuditLine{Node: 2, At: at(base + 500), Event: eventStarted, Request: request, Session: session, Subject: subject},
		)
		h.Created = append(h.Created, Creation{request, 0, at(base + 90)})
		h.Deliveries = append(h.Deliveries,
			Delivery{Request: request, Status: "request_retrieved", Node: 2, Span: span(base+200, base+210), Answer: 200},
			Delivery{Request: request, Status: statusVerified, Holder: name, Node: 1, Span: span(base+290, base+310), Answer: 200},
		)
		note := func(ask string, step Step, node, from int, change func(*Note)) {
			n := Note{
				Ask: name + " " + ask, Visitor: name, Step: step, Node: node, Span: span(base+from, base+from+20),
				Status: 200, Policy: Plain, Transaction: transaction,
			}
			change(&n)
			h.Notes = append(h.Notes, n)
		}
		note("challenged", StepApp, 0, 0, func(n *Note) { n.Status, n.Transaction = http.StatusSeeOther, "" })
		note("starting", StepRequest, 0, 80, func(n *Note) { n.Status = http.StatusSeeOther })
		note("foreign", StepForeign, 1, 60, func(n *Note) { n.Transaction, n.Wanted, n.Shows = "", "/of "+name, "/" })
		note("returning", StepReturn, 2, 70, func(n *Note) { n.Transaction, n.Wanted, n.Shows = "", "/of "+name, "/of "+name })
		note("thief", StepThief, 1, 400, func(n *Note) { n.Status = http.StatusForbidden })
		note("finishing", StepFinish, 2, 490, func(n *Note) { n.Gives = true })
		note("inside", StepApp, 0, 600, func(n *Note) { n.Holds, n.Session = session, session })
		note("working", StepScript, 1, 5000, func(n *Note) { n.Holds, n.Session = session, session })
		for _, ask := range []string{"inside", "working"} {
			i := slices.IndexFunc(h.Notes, func(n Note) bool { return n.Ask == name+" "+ask })
			n := h.Notes[i]
			h.Passages = append(h.Passages, Passage{
				At: n.Began, Ask: n.Ask, Node: n.Node, Policy: Plain, Session: session, Subject: subject, Name: name, Score: 85,
			})
		}
		h.Visits = append(h.Visits, Visit{
			Visitor: name, Span: span(base, base+620), Outcome: Entered, Request: request, Transaction: transaction,
			Session: session, Told: true, Detour: true, Wanted: "/of " + name, Landed: "/of " + name,
		})
		h.Audit = append(h.Audit, AuditLine{Node: 0, At: at(base + 30), Event: eventIDVStarted, Kickstart: "link of " + name})
		h.Arrivals = append(h.Arrivals,
			Arrival{Visitor: name, Kickstart: "link of " + name, Span: span(base+40, base+45), Taken: true},
			Arrival{Visitor: name, Kickstart: "link of " + name, Span: span(base+46, base+48), Again: true},
		)
		if name == "Ana" {
			note("leaving", StepLogout, 1, 6000, func(n *Note) { n.Holds, n.Clears = session, true })
			note("back with a copy", StepStale, 2, 20000, func(n *Note) { n.Status, n.Clears = http.StatusSeeOther, true })
		}
	}
	for ms := 0; ms < 30000; ms += 250 {
		h.Probes = append(h.Probes, span(ms, ms+2))
		h.Sizes = append(h.Sizes, Size{0, at(ms), 60 + ms/1000})
	}
	return h
}

// ask is the note of that name.
func (h *History) ask(name string) *Note {
	return &h.Notes[slices.IndexFunc(h.Notes, func(n Note) bool { return n.Ask == name })]
}

// pass lets the visitor's request of that name through to the app once more, as the passage given.
func (h *History) pass(ask string, node int) *Passage {
	n := h.ask(ask)
	h.Passages = append(h.Passages, Passage{
		At: n.Began, Ask: ask, Node: node, Policy: Plain,
		Session: "session of " + n.Visitor, Subject: "subject of " + n.Visitor, Name: n.Visitor, Score: 85,
	})
	return &h.Passages[len(h.Passages)-1]
}

func (h *History) did(kind Kind, from, until int) *Deed {
	h.Deeds = append(h.Deeds, Deed{Kind: kind, Node: -1, Span: span(from, until)})
	return &h.Deeds[len(h.Deeds)-1]
}

func TestGoodHistoryHasNoViolation(t *testing.T) {
	t.Parallel()
	for _, v := range Check(good()) {
		t.Error(v)
	}
}

// Each rule must find what it is for, or the runs show nothing.
func TestEachRuleFindsItsViolation(t *testing.T) {
	t.Parallel()
	drop := func(h *History, event string) {
		h.Audit = slices.DeleteFunc(h.Audit, func(l AuditLine) bool { return l.Event == event })
	}
	for _, c := range []struct {
		rule, name string
		forge      func(*History)
	}{
		{"a session has one origin", "out of nothing", func(h *History) { h.pass("Ana inside", 0).Session = "another" }},
		{"a session has one origin", "no audit line, nobody killed", func(h *History) { drop(h, eventStarted) }},
		{"a session has one origin", "the service knows nothing", func(h *History) { h.Created = h.Created[1:] }},
		{"a session has one origin", "no callback", func(h *History) { h.Deliveries = nil }},
		{"a session has one origin", "the callback was refused", func(h *History) { h.Deliveries[1].Answer = http.StatusUnauthorized }},
		{"a session has one origin", "the callback was forged", func(h *History) { h.Deliveries[1].Forged = true }},
		{"a session has one origin", "only retrieved", func(h *History) { h.Deliveries[1].Status = "request_retrieved" }},
		{"a session has one origin", "verified twice", func(h *History) { h.Audit = append(h.Audit, h.Audit[1]) }},
		{"a session has one origin", "another's request", func(h *History) { h.Visits[0].Request = "request of Ben" }},
		{"a session has one origin", "verified, and nobody came of it", func(h *History) {
			h.Audit = append(h.Audit, AuditLine{Event: eventVerified, Request: "a third", At: at(50)})
		}},
		{"an identity has a session", "a name alone", func(h *History) { h.pass("Ana challenged", 0).Session = "" }},
		{"an identity has a session", "nobody at all", func(h *History) {
			p := h.pass("Ana challenged", 0)
			p.Session, p.Subject, p.Name = "", "", ""
		}},
		{"nobody is somebody else", "Ben is Ana", func(h *History) {
			*h.pass("Ben working", 1) = Passage{Ask: "Ben working", Policy: Plain, Session: "session of Ana", Subject: "subject of Ana", Name: "Ana", Score: 85}
		}},
		{"nobody is somebody else", "claims of another in one's own session", func(h *History) { h.pass("Ben working", 1).Name = "Ana" }},
		{"nobody is somebody else", "a session changes hands", func(h *History) { h.pass("Ben working", 1).Session = "session of Ana" }},
		{"nobody is somebody else", "the card of another", func(h *History) { h.Deliveries[1].Holder = "Ben" }},
		{"nobody is somebody else", "verified for one, begun for another", func(h *History) { h.Audit[1].Subject = "subject of Ben" }},
		{"nobody is somebody else", "by nobody", func(h *History) { h.pass("Ana inside", 0).Ask = "never asked" }},
		{"a result is taken once", "two sessions of one request", func(h *History) {
			h.Audit = append(h.Audit, AuditLine{Node: 2, At: at(550), Event: eventStarted, Request: "request of Ana", Session: "second", Subject: "subject of Ana"})
			h.pass("Ana inside", 0).Session = "second"
		}},
		{"a result is taken once", "one session begun twice", func(h *History) { h.Audit = append(h.Audit, h.Audit[2]) }},
		{"a result is taken once", "the thief gets it", func(h *History) { h.ask("Ana thief").Gives = true }},
		{"a result is taken once", "two visitors, one transaction", func(h *History) { h.ask("Ben finishing").Transaction = "transaction of Ana" }},
		{"a result is taken once", "requested twice", func(h *History) { h.Audit = append(h.Audit, h.Audit[0]) }},
		{"a forged callback does nothing", "taken", func(h *History) {
			h.Deliveries = append(h.Deliveries, Delivery{Request: "request of Ana", Status: statusVerified, Holder: "Ana", Forged: true, Span: span(280, 285), Answer: 200})
		}},
		{"a link to the partner works once", "twice", func(h *History) { h.Arrivals[1].Taken = true }},
		{"a link to the partner works once", "for the other first", func(h *History) { h.Arrivals[0].Taken, h.Arrivals[1].Taken = false, true }},
		{"a link to the partner works once", "never", func(h *History) { h.Arrivals[0].Taken = false }},
		{"a link to the partner works once", "of no node", func(h *History) { drop(h, eventIDVStarted) }},
		{"a link to the partner works once", "made twice", func(h *History) {
			h.Audit = append(h.Audit, AuditLine{Event: eventIDVStarted, Kickstart: "link of Ana"})
		}},
		{"nobody returns as somebody else", "a session", func(h *History) { h.ask("Ana foreign").Gives = true }},
		{"nobody returns as somebody else", "the place", func(h *History) { h.ask("Ana foreign").Shows = "/of Ana" }},
		{"the way leads where it was to", "forgotten at the partner", func(h *History) { h.ask("Ana returning").Shows = "/" }},
		{"the way leads where it was to", "that of another", func(h *History) { h.Visits[0].Landed = "/of Ben" }},
		{"a stricter policy holds at once", "on old terms", func(h *History) { h.pass("Ana working", 1).Policy = Strict }},
		{"what has ended stays ended", "elsewhere, ten seconds later", func(h *History) { h.pass("Ana back with a copy", 2) }},
		{"what has ended stays ended", "on the same node, at once", func(h *History) {
			h.ask("Ana back with a copy").Span = span(6100, 6110)
			h.pass("Ana back with a copy", 1)
		}},
		{"what has ended stays ended", "on the same node, after it was started again", func(h *History) {
			h.did(Kill, 7000, 9000).Node = 1
			h.pass("Ana back with a copy", 1)
		}},
		{"what has ended stays ended", "revoked", func(h *History) {
			h.did(Revoke, 3000, 3010).Session = "session of Ben"
			h.ask("Ben working").Span = span(9000, 9010)
		}},
		{"what has ended stays ended", "long after a cut", func(h *History) {
			h.did(NetRefuse, 6500, 7500)
			h.pass("Ana back with a copy", 2)
		}},
		{"an outage ends no session", "challenged", func(h *History) { h.ask("Ben working").Status = http.StatusUnauthorized }},
		{"an outage ends no session", "challenged while the store is frozen", func(h *History) {
			h.did(StoreFreeze, 4000, 9000)
			h.ask("Ben working").Status = http.StatusSeeOther
		}},
		{"an outage ends no session", "unavailable", func(h *History) {
			h.did(StoreFreeze, 4000, 9000)
			h.ask("Ben working").Status = http.StatusServiceUnavailable
		}},
		{"an outage ends no session", "broken by a reload", func(h *History) {
			h.did(Reload, 4900, 5100)
			h.ask("Ben working").Status = 0
		}},
		{"an outage ends no session", "challenged before the revocation", func(h *History) {
			h.did(Revoke, 8000, 8010).Session = "session of Ben"
			h.ask("Ben working").Status = http.StatusUnauthorized
		}},
		{"an outage clears no cookie", "with the store down", func(h *History) {
			h.did(StoreRestart, 4000, 9000)
			h.ask("Ben working").Clears = true
		}},
		{"an outage clears no cookie", "with a stricter policy", func(h *History) {
			h.did(ReloadStrict, 4000, 9000)
			n := h.ask("Ben working")
			n.Status, n.Policy, n.Clears = http.StatusSeeOther, Strict, true
		}},
		{"every answer is one of ours", "a failure", func(h *History) {
			h.did(StoreRestart, 0, 9000)
			h.ask("Ana challenged").Status = http.StatusInternalServerError
		}},
		{"every answer is one of ours", "unavailable without a fault", func(h *History) { h.ask("Ana starting").Status = http.StatusServiceUnavailable }},
		{"every answer is one of ours", "no answer long after a fault", func(h *History) {
			h.did(Kill, -30000, -29000)
			h.ask("Ana starting").Status = 0
		}},
		{"every visit ends in a named state", "unnamed", func(h *History) { h.Visits[0].Outcome = "lost in thought" }},
		{"every visit ends in a named state", "without an end", func(h *History) { h.Visits[0].Ended = time.Time{} }},
		{"every visit ends in a named state", "outside without a fault", func(h *History) { h.Visits[0].Outcome = StartAgain }},
		{"every visit ends in a named state", "in without a session", func(h *History) { h.Visits[0].Session = "" }},
		{"a result that was taken is not lost", "with a shared store, by a kill", func(h *History) {
			h.did(Kill, 400, 410)
			h.Visits[0].Outcome = StartAgain
		}},
		{"a result that was taken is not lost", "by a store that was back in time", func(h *History) {
			h.did(StoreRestart, 400, 410)
			h.Visits[0].Ended, h.Visits[0].Outcome = at(20000), Later
		}},
		{"every answer comes in time", "13 seconds", func(h *History) { h.ask("Ana starting").Ended = at(13100) }},
		{"every answer comes in time", "a holder, with the store frozen", func(h *History) {
			h.did(StoreFreeze, 4000, 9000)
			h.ask("Ben working").Ended = at(6100)
		}},
		{"an outage piles nothing up", "300 goroutines", func(h *History) {
			h.did(StoreFreeze, 4000, 9000)
			h.Sizes = append(h.Sizes, Size{0, at(8000), 300})
		}},
	} {
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			h := good()
			c.forge(h)
			found := Check(h)
			if !slices.ContainsFunc(found, func(v Violation) bool { return v.Rule == c.rule }) {
				t.Errorf("the rule found nothing; all others: %v", found)
			}
		})
	}
}

// What the scenario explains is no violation, or nobody would believe the others.
func TestWhatTheScenarioExplainsIsNoViolation(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]func(*History){
		"a node was killed before it wrote the line": func(h *History) {
			h.did(Kill, 495, 496)
			h.Audit = slices.DeleteFunc(h.Audit, func(l AuditLine) bool { return l.Event == eventStarted })
		},
		"the store made the session and could not say so": func(h *History) {
			h.did(StoreFreeze, 400, 500)
			again := *h.ask("Ana finishing")
			again.Ask, again.Status, again.Gives = "Ana finishing in vain", http.StatusServiceUnavailable, false
			h.Notes = append(h.Notes, again)
			h.Audit = slices.DeleteFunc(h.Audit, func(l AuditLine) bool { return l.Event == eventStarted && l.Session == "session of Ana" })
		},
		"a node was killed over a callback that it had stored": func(h *History) {
			h.did(Kill, 300, 301)
			h.Deliveries[1].Answer = 0
		},
		"a node was killed over a request and its repetition": func(h *History) {
			h.did(Kill, 5000, 5010)
			h.ask("Ben working").Status = 0
			h.Passages = slices.DeleteFunc(h.Passages, func(p Passage) bool { return p.Ask == "Ben working" })
		},
		"another node has not heard of a logout yet": func(h *History) {
			h.ask("Ana back with a copy").Span = span(9000, 9010)
			h.pass("Ana back with a copy", 2)
		},
		"a node that was started again has not heard of a logout yet": func(h *History) {
			h.did(Kill, 7000, 16000).Node = 1
			h.pass("Ana back with a copy", 1)
		},
		"another node could not hear of a logout": func(h *History) {
			h.did(NetRefuse, 6500, 15500)
			h.pass("Ana back with a copy", 2)
		},
		"a stricter policy challenges": func(h *History) {
			n := h.ask("Ben working")
			n.Status, n.Policy = http.StatusUnauthorized, Strict
		},
		"the operator has put somebody out": func(h *History) {
			h.did(Revoke, 4000, 4010).Session = "session of Ben"
			n := h.ask("Ben working")
			n.Status, n.Clears = http.StatusSeeOther, true
			h.Passages = slices.DeleteFunc(h.Passages, func(p Passage) bool { return p.Ask == "Ben working" })
		},
		"a logout that brought no answer worked all the same": func(h *History) {
			h.did(Kill, 6000, 6010)
			h.ask("Ana leaving").Status = 0
			n := h.ask("Ana back with a copy")
			n.Step, n.Holds = StepApp, "session of Ana"
		},
		"the store was flushed": func(h *History) {
			h.did(StoreFlush, 400, 401)
			h.Visits[0].Outcome = StartAgain
		},
		"the memory of a node died with it": func(h *History) {
			h.SharedStore = false
			h.did(Kill, 400, 410)
			h.Visits[0].Outcome = StartAgain
		},
		"the callback never came": func(h *History) {
			h.did(Drop, 200, 290)
			h.Visits[0].Outcome = Waited
		},
		"the partner could not ask for the keys": func(h *History) {
			h.did(Kill, 20, 50)
			h.Arrivals[0].Taken, h.Arrivals[0].Why = false, "signature"
			h.Visits[0].Outcome, h.Visits[0].Told = StartAgain, false
		},
		"the machine itself is slow": func(h *History) {
			h.did(StoreFreeze, 4000, 9000)
			h.ask("Ben working").Ended = at(6100)
			h.Probes = append(h.Probes, span(5000, 7000))
		},
		"a fault of a moment ago": func(h *History) {
			h.did(Failing, -5000, -1000)
			h.Visits[0].Outcome, h.Visits[0].Told = Later, false
			h.ask("Ana starting").Status = http.StatusServiceUnavailable
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := good()
			forge(h)
			for _, v := range Check(h) {
				t.Error(v)
			}
		})
	}
}

// Ten seconds of a fault in the middle put ten seconds on the time in which all must have heard.
func TestHealthyTimeLeavesOutTheCuts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cuts []Span
		want int
	}{
		{nil, 5000},
		{[]Span{span(-9000, -1000)}, 5000},
		{[]Span{span(-9000, 2000)}, 7000},
		{[]Span{span(1000, 11000)}, 15000},
		{[]Span{span(1000, 2000), span(1500, 3000), span(4000, 4500)}, 7500},
		{[]Span{span(6000, 9000)}, 5000},
	} {
		if got := healthy(at(0), 5*time.Second, c.cuts); !got.Equal(at(c.want)) {
			t.Errorf("healthy(%s) = %s, want %s", strings.Trim(fmt.Sprint(c.cuts), "[]"), got.Sub(noon), at(c.want).Sub(noon))
		}
	}
}
