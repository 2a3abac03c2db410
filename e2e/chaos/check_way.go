// SPDX-License-Identifier: Apache-2.0

package chaos

// links: a link to the partner is made once, by a node that says so, and works once: for who follows it first.
func (x *index) links() (found []string) {
	made, taken := make(map[string]int), make(map[string]int)
	for i := range x.Audit {
		if line := &x.Audit[i]; line.Event == eventIDVStarted {
			if made[line.Kickstart]++; made[line.Kickstart] == 2 {
				say(&found, "the link %s was made twice", line.Kickstart)
			}
		}
	}
	for i := range x.Arrivals {
		a := &x.Arrivals[i]
		if a.Taken {
			if taken[a.Kickstart]++; taken[a.Kickstart] == 2 {
				say(&found, "the link %s of %s worked twice", a.Kickstart, a.Visitor)
			}
			if made[a.Kickstart] == 0 {
				say(&found, "%s came to the partner by the link %q, and no audit line says that it was made", a.Visitor, a.Kickstart)
			}
			continue
		}
		if !a.Again && x.deed(a.widened(aftermath), Kill, Reload, ReloadStrict) == nil { // the partner asks a node for the keys
			say(&found, "the partner did not take the link %s of %s: %s", a.Kickstart, a.Visitor, a.Why)
		}
	}
	return found
}

// returns: whoever else comes to the address to which the partner sends back gets no session by it, and learns nothing of the way.
func (x *index) returns() (found []string) {
	for i := range x.Notes {
		n := &x.Notes[i]
		if n.Step != StepForeign && n.Step != StepThief {
			continue
		}
		if n.Gives {
			say(&found, "somebody else got a session in place of %s (%s)", n.Visitor, n.Ask)
		}
		if n.Wanted != "" && n.Shows == n.Wanted {
			say(&found, "somebody else was told that %s is on the way to %s (%s)", n.Visitor, n.Shows, n.Ask)
		}
	}
	return found
}

// places: the way leads to where its visitor was going, and every page on it says so.
func (x *index) places() (found []string) {
	for i := range x.Notes {
		n := &x.Notes[i]
		if n.Step == StepForeign || n.Step == StepThief || n.Shows == "" || n.Shows == n.Wanted {
			continue
		}
		say(&found, "%s is on the way to %s and was told of %s by node %d (%s)", n.Visitor, n.Wanted, n.Shows, n.Node, n.Ask)
	}
	for i := range x.Visits {
		v := &x.Visits[i]
		if v.Landed != "" && v.Landed != v.Wanted {
			say(&found, "%s wanted to go to %s and was led to %s", v.Visitor, v.Wanted, v.Landed)
		}
	}
	return found
}

// landings counts the visits over the partner and those of them that led in, and the links to it that were followed and refused.
func (x *index) landings() (visits, in, links, refused int) {
	for i := range x.Visits {
		if v := &x.Visits[i]; v.Detour {
			visits++
			if v.Outcome == Entered {
				in++
			}
		}
	}
	for i := range x.Arrivals {
		if links++; !x.Arrivals[i].Taken {
			refused++
		}
	}
	return visits, in, links, refused
}
