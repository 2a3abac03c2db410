// SPDX-License-Identifier: Apache-2.0

package chaos

import "net/http"

// origins: each session traces back to one presentation request, which the service has accepted, and to one callback for it that
// is genuine and was taken.
func (x *index) origins() (found []string) {
	for _, session := range x.sessions() {
		request := x.requestOf(session)
		if request == "" {
			say(&found, "session %s goes back to no presentation request", session)
			continue
		}
		if len(x.started[session]) == 0 && !x.lineLost(session) {
			say(&found, "no audit line says that session %s began, and neither a node nor the store was lost over it", session)
		}
		if v := x.entered[session]; v != nil && v.Request != request {
			say(&found, "session %s goes back to request %s, but its visitor took the result of %s", session, request, v.Request)
		}
		if n := x.created[request]; n != 1 {
			say(&found, "session %s goes back to request %s, which was created %d times", session, request, n)
		}
		if !x.proven(request) {
			say(&found, "session %s goes back to request %s, for which no genuine verified callback was taken", session, request)
		}
		if n := len(x.lines(request, eventVerified)); n > 1 {
			say(&found, "request %s, of session %s, was verified %d times", request, session, n)
		}
	}
	for _, line := range x.Audit {
		if line.Event == eventVerified && !x.proven(line.Request) {
			say(&found, "request %s was verified without a genuine callback", line.Request)
		}
	}
	return found
}

// lineLost says whether a node was killed while the visitor of the session was taking the result, or the store did not answer then:
// it may have made the session all the same, and the visitor's next try is told as none.
func (x *index) lineLost(session string) bool {
	v := x.entered[session]
	return v != nil && (x.deed(v.Span, Kill) != nil || v.Transaction != "" && x.unsure[v.Transaction])
}

// proven says whether the service has said that the request was verified, to a node that took it, was killed over it, or stored it
// without an answer of the store.
func (x *index) proven(request string) bool {
	for _, d := range x.delivered[request] {
		if d.Status == statusVerified && !d.Forged && (d.accepted() || d.Answer == 0 || d.Answer == http.StatusServiceUnavailable) {
			return true
		}
	}
	return false
}

// sessionless: the app hears of an identity only together with a session.
func (x *index) sessionless() (found []string) {
	for i := range x.Passages {
		p := &x.Passages[i]
		if p.Session == "" || p.Subject == "" || p.Name == "" {
			say(&found, "the app was asked (%s, node %d) with session %q, subject %q, name %q", p.Ask, p.Node, p.Session, p.Subject, p.Name)
		}
	}
	return found
}

// holders: a visitor is who their own card says, to every node, for the session's whole life.
func (x *index) holders() (found []string) {
	subjects, names := map[string]string{}, map[string]string{}
	one := func(known map[string]string, key, value, what string) {
		if before, ok := known[key]; ok && before != value {
			say(&found, "%s %q has been %q and %q", what, key, before, value)
		}
		known[key] = value
	}
	sessions := map[string]string{}
	for i := range x.Passages {
		p := &x.Passages[i]
		one(names, p.Subject, p.Name, "subject")
		one(subjects, p.Name, p.Subject, "the holder named")
		one(sessions, p.Session, p.Subject, "session")
		if note := x.notes[p.Ask]; note == nil {
			say(&found, "the app was asked by nobody (%q)", p.Ask)
		} else if note.Visitor != p.Name {
			say(&found, "%s is %s to the app (%s, session %s)", note.Visitor, p.Name, p.Ask, p.Session)
		}
		for _, line := range x.started[p.Session] {
			if line.Subject != p.Subject {
				say(&found, "session %s began as subject %s and is %s to the app", p.Session, line.Subject, p.Subject)
			}
		}
	}
	for _, session := range x.sessions() {
		request := x.requestOf(session)
		for _, line := range x.lines(request, eventVerified) {
			for _, began := range x.started[session] {
				if line.Subject != began.Subject {
					say(&found, "request %s was verified for subject %s and opened session %s for %s", request, line.Subject, session, began.Subject)
				}
			}
		}
		for _, d := range x.delivered[request] {
			v := x.entered[session]
			if d.Status == statusVerified && v != nil && d.Holder != v.Visitor {
				say(&found, "%s got session %s by the card of %s", v.Visitor, session, d.Holder)
			}
		}
	}
	return found
}

// taken: a result gives one session, to the browser that began.
func (x *index) taken() (found []string) {
	byRequest := map[string]string{}
	for _, session := range x.sessions() {
		request := x.requestOf(session)
		if other, ok := byRequest[request]; ok && request != "" {
			say(&found, "request %s gave the sessions %s and %s", request, other, session)
		}
		byRequest[request] = session
		if n := len(x.started[session]); n > 1 {
			say(&found, "session %s began %d times", session, n)
		}
	}
	for request := range x.audit {
		for _, event := range []string{eventRequested, eventStarted} {
			if n := len(x.lines(request, event)); n > 1 {
				say(&found, "request %s has %d audit lines %s", request, n, event)
			}
		}
	}
	owners := map[string]string{}
	for i := range x.Notes {
		n := &x.Notes[i]
		if n.Step == StepThief && n.Gives {
			say(&found, "somebody else got a session by the transaction of %s (%s)", n.Visitor, n.Ask)
		}
		if n.Step != StepFinish || !n.Gives {
			continue
		}
		if owner, ok := owners[n.Transaction]; ok && owner != n.Visitor {
			say(&found, "%s and %s got a session by one transaction", owner, n.Visitor)
		}
		owners[n.Transaction] = n.Visitor
	}
	return found
}

// forged: no callback with a key that was not agreed on is answered as if it were good.
func (x *index) forged() (found []string) {
	for i := range x.Deliveries {
		if d := &x.Deliveries[i]; d.Forged && d.accepted() {
			say(&found, "node %d took a forged callback for request %s with %d", d.Node, d.Request, d.Answer)
		}
	}
	return found
}

// strict: a config with a higher bar lets nobody through who is below it.
func (x *index) strict() (found []string) {
	for i := range x.Passages {
		if p := &x.Passages[i]; p.Policy == Strict && p.Score < StrictScore {
			say(&found, "node %d let %s through with a score of %g where %d was asked for (%s)", p.Node, p.Name, p.Score, StrictScore, p.Ask)
		}
	}
	return found
}
