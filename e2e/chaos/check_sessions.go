// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

const (
	// spreading is how long nodes may take to hear that a session has ended, while the store answers.
	spreading = 5 * time.Second
	// recovery is how long after a fault a node may take until it speaks with the store again.
	recovery = 5 * time.Second
)

// end is how a session ended: the last moment at which it may have been alive, and the node that ended it.
type end struct {
	node int
	Span
	how string
}

// ends are the sessions that a node has said to be over.
func (x *index) ends() map[string]end {
	ends := make(map[string]end)
	add := func(session string, e end) {
		if before, ok := ends[session]; !ok || e.Ended.Before(before.Ended) {
			ends[session] = e
		}
	}
	for i := range x.Notes {
		if n := &x.Notes[i]; n.Step == StepLogout && n.Status == http.StatusOK && n.Holds != "" {
			add(n.Holds, end{n.Node, n.Span, "logged out"})
		}
	}
	for i := range x.Deeds {
		if d := &x.Deeds[i]; d.Kind == Revoke && d.Err == "" && d.Session != "" {
			add(d.Session, end{d.Node, d.Span, "revoked"})
		}
	}
	return ends
}

// ended: who was logged out or put out stays out; at once on the node that did it, and elsewhere, or on a node that was killed
// since, as soon as it must have heard.
func (x *index) ended() (found []string) {
	ends := x.ends()
	cuts := x.cuts()
	for i := range x.Passages {
		p := &x.Passages[i]
		e, ok := ends[p.Session]
		note := x.notes[p.Ask]
		if !ok || note == nil || !note.Began.After(e.Ended) {
			continue
		}
		heard := e.Ended // by the node that did it, for as long as it lives
		if since := x.born(p.Node, note.Began); p.Node != e.node || since.After(e.Ended) {
			heard = healthy(later(since, e.Ended), spreading, cuts)
		}
		if note.Began.After(heard) {
			say(&found, "session %s of %s was %s by node %d and let through by node %d %s later (%s)",
				p.Session, p.Name, e.how, e.node, p.Node, note.Began.Sub(e.Ended).Round(time.Millisecond), p.Ask)
		}
	}
	return found
}

// born is when the node was last started before the moment, after a kill; zero if it never was.
func (x *index) born(node int, before time.Time) (last time.Time) {
	for i := range x.Deeds {
		if d := &x.Deeds[i]; d.Kind == Kill && d.Node == node && d.Began.Before(before) {
			last = later(last, d.Ended)
		}
	}
	return last
}

// cuts are the times in which a node may not have heard from the store, in order.
func (x *index) cuts() (cuts []Span) {
	for i := range x.Deeds {
		if d := &x.Deeds[i]; ofStore[d.Kind] {
			cuts = append(cuts, Span{d.Began, d.Ended.Add(recovery)})
		}
	}
	slices.SortFunc(cuts, func(a, b Span) int { return cmp.Compare(a.Began.UnixNano(), b.Began.UnixNano()) })
	return cuts
}

// healthy is when so much time without cuts has passed since the moment.
func healthy(since time.Time, lasting time.Duration, cuts []Span) time.Time {
	due := since.Add(lasting)
	for _, cut := range cuts {
		if cut.Ended.Before(since) {
			continue
		}
		if cut.Began.After(due) {
			break
		}
		if start := later(cut.Began, since); cut.Ended.After(start) {
			due = due.Add(cut.Ended.Sub(start))
			since = cut.Ended
		}
	}
	return due
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// revoked says whether somebody may have ended the session before the moment: the scenario, or its visitor, who perhaps was not
// told whether it worked.
func (x *index) revoked(session string, before time.Time) bool {
	for i := range x.Deeds {
		if d := &x.Deeds[i]; d.Kind == Revoke && d.Session == session && d.Began.Before(before) {
			return true
		}
	}
	left, ok := x.left[session]
	return ok && left.Before(before)
}

// lost: who holds a session that nobody has ended gets the page that they ask for, whatever is broken, except where the config of
// the moment asks for more. Only a node that dies over a request, and over its repetition, may leave it without an answer.
func (x *index) lost() (found []string) {
	for i := range x.Notes {
		n := &x.Notes[i]
		if n.Step != StepApp && n.Step != StepScript || n.Holds == "" || n.Status == http.StatusOK || x.revoked(n.Holds, n.Ended) {
			continue
		}
		challenge := n.Status == http.StatusSeeOther || n.Status == http.StatusUnauthorized
		switch {
		case challenge && n.Policy == Strict:
		case n.Status == 0 && x.deed(n.widened(time.Second), Kill) != nil:
		default:
			say(&found, "%s holds session %s and was answered %d %s %s by node %d (%s)", n.Visitor, n.Holds, n.Status, n.Page, n.Err, n.Node, n.Ask)
		}
	}
	return found
}

// cleared: no answer takes the cookie of a living session away, except to who logs out.
func (x *index) cleared() (found []string) {
	for i := range x.Notes {
		n := &x.Notes[i]
		if n.Clears && n.Holds != "" && n.Step != StepLogout && !x.revoked(n.Holds, n.Ended) {
			say(&found, "node %d cleared the cookie of session %s of %s (%s, %d)", n.Node, n.Holds, n.Visitor, n.Ask, n.Status)
		}
	}
	return found
}
