// SPDX-License-Identifier: Apache-2.0

package chaos

import "time"

// History is what everybody has written down, each list in the order in which it was written.
type History struct {
	// Audit is the audit log of all nodes.
	Audit []AuditLine
	// Created are the presentation requests that the service has accepted.
	Created []Creation
	// Deliveries are the callbacks that reached a node, or tried to.
	Deliveries []Delivery
	// Passages are the requests that reached the app behind the gate.
	Passages []Passage
	// Notes are what the visitors wrote: one for each request, as they saw it.
	Notes []Note
	// Visits are the visitors' ways in, one for each time somebody wanted in.
	Visits []Visit
	// Arrivals are the links by which somebody came, or tried to come, to the partner.
	Arrivals []Arrival
	// Deeds are the actions of the scenario as they came to pass.
	Deeds []Deed
	// Probes are requests for an address that is not gated, on every node all the time: how fast the machine is at the moment.
	Probes []Span
	// Sizes are the numbers of goroutines of the nodes, every second.
	Sizes []Size
	// SharedStore says that all nodes share a store that outlives them. Otherwise each keeps its transactions in its memory.
	SharedStore bool
}

// Span is a stretch of time.
type Span struct{ Began, Ended time.Time }

// Took is its length.
func (s Span) Took() time.Duration { return s.Ended.Sub(s.Began) }

// meets says whether two spans have a moment in common.
func (s Span) meets(other Span) bool {
	return !s.Began.After(other.Ended) && !other.Began.After(s.Ended)
}

// widened is the span with so much more at both ends.
func (s Span) widened(by time.Duration) Span { return Span{s.Began.Add(-by), s.Ended.Add(by)} }

// Size is how many goroutines a node had at a moment.
type Size struct {
	Node       int
	At         time.Time
	Goroutines int
}

// AuditLine is one line of the log verified_id.audit.
type AuditLine struct {
	Node int
	At   time.Time
	// Event is the line's name; the others are its fields, empty where it has none.
	Event, Request, Session, Subject, Reason string
	// Kickstart is the RequestId of a link to the partner.
	Kickstart string
}

// Creation is a presentation request that the service has accepted.
type Creation struct {
	Request string
	Node    int
	At      time.Time
}

// Delivery is a callback that was sent to a node.
type Delivery struct {
	Request, Status string
	// Holder is the name on the card that was presented; empty if none was.
	Holder string
	// Forged says that it carries another key than the one that was agreed on for the request.
	Forged bool
	Node   int
	Span
	// Answer is the node's status; 0: none came.
	Answer int
}

func (d Delivery) accepted() bool { return d.Answer >= 200 && d.Answer < 300 }

// Arrival is a link to the partner that was followed.
type Arrival struct {
	Visitor string
	// Kickstart is the link's RequestId.
	Kickstart string
	// Again says that it was somebody else, who had seen the link.
	Again bool
	Span
	// Taken says that the partner has let them in, and Why otherwise what it said.
	Taken bool
	Why   string
}

// Passage is a request that the gate let through to the app.
type Passage struct {
	At time.Time
	// Ask names the visitor's note of the same request.
	Ask  string
	Node int
	// Policy is the config that let it through, by the config's own word.
	Policy string
	// Session, Subject, Name and Score are what the app was told of the visitor.
	Session, Subject, Name string
	Score                  float64
}

// Policies by which a config calls itself.
const (
	Plain  = "plain"
	Strict = "strict"
)

// StrictScore is what a Face Check must score under [Strict].
const StrictScore = 90

// Note is what a visitor saw of one request. A browser repeats a request once if the connection breaks and nothing is done
// twice by it; both tries are one note.
type Note struct {
	// Ask names the request, Visitor who made it.
	Ask, Visitor string
	Step         Step
	// Node answered, or did not.
	Node int
	Span
	// Status is that of the answer; 0: none came, and Err says why.
	Status int
	Err    string
	// Page is the title of one of our own pages, or where a redirect leads.
	Page string
	// Policy is that of the node's config.
	Policy string
	// Holds is the session that the visitor has reason to believe in; empty if none.
	Holds string
	// Transaction is what it was about; Session is who the app says it was.
	Transaction, Session string
	// Wanted is the place that the visitor is on the way to, and Shows the one that the page names as the end of the way; empty if
	// none.
	Wanted, Shows string
	// Gives and Clears say that the answer sets or removes the session cookie.
	Gives, Clears bool
}

// Step is what a request of a visitor is for.
type Step string

// Steps of a visit.
const (
	StepApp     Step = "app"     // a page of the app
	StepScript  Step = "script"  // a request of the app's script
	StepStart   Step = "start"   // the start page
	StepAway    Step = "away"    // the button that leads to the partner
	StepReturn  Step = "return"  // the address to which the partner sends back
	StepRequest Step = "request" // the button that asks for a code
	StepWait    Step = "wait"    // the page with the code
	StepStream  Step = "stream"  // the page's script listens to what becomes of it
	StepStatus  Step = "status"  // or asks
	StepFinish  Step = "finish"  // the button that takes the result
	StepLogout  Step = "logout"  // the button that ends the session
	StepThief   Step = "thief"   // somebody else tries to take the result
	StepForeign Step = "foreign" // somebody else comes to the address to which the partner sends back
	StepStale   Step = "stale"   // a copy of the cookie of a session that has ended
)

// Outcome is how a way in ended. The set is closed: a visit that ends otherwise is a failure.
type Outcome string

// Outcomes of visits.
const (
	Entered    Outcome = "in"
	Refused    Outcome = "refused"     // the card does not satisfy the policy of the moment
	StartAgain Outcome = "start again" // the attempt is over, and a page says how to go on
	Later      Outcome = "come later"  // a page says that something does not answer, and when to come back
	Waited     Outcome = "no answer of the wallet"
	Unreached  Outcome = "nobody listens"
)

// Visit is one attempt to get in: one transaction at most.
type Visit struct {
	Visitor string
	Span
	Outcome Outcome
	// Why is the page that ended it.
	Why string
	// Request and Transaction are what the service and we call it; empty if it did not come to that.
	Request, Transaction string
	// Session is the one that it led to, as the app says.
	Session string
	// Wanted is the address that the visitor asked for, and Landed where the result led; empty if none was taken.
	Wanted, Landed string
	// Detour says that it led over the partner.
	Detour bool
	// Told says that the wallet heard that its presentation was taken.
	Told bool
}

// Deed is one action of the scenario.
type Deed struct {
	Kind Kind
	// Node that it happened to; -1: not to one.
	Node int
	Span
	// Stage at which it came, for a kill; [AtAnyTime] too if nobody reached the stage.
	Stage Stage
	// Session that it ended; empty for all others.
	Session string
	// Err says why it failed.
	Err string
}

// Kind is a kind of action.
type Kind string

// Kinds of actions.
const (
	Kill         Kind = "kill -9"
	Reload       Kind = "reload"
	ReloadStrict Kind = "stricter reload"
	ReloadBroken Kind = "broken reload"
	StoreRestart Kind = "store restart"
	StoreFreeze  Kind = "store frozen"
	StoreFlush   Kind = "store flushed"
	NetLatency   Kind = "network slow"
	NetLoss      Kind = "network lossy"
	NetHole      Kind = "network silent"
	NetRefuse    Kind = "network refuses"
	NetReset     Kind = "network reset"
	Throttle     Kind = "service 429"
	Failing      Kind = "service 500"
	Hanging      Kind = "service hangs"
	Cut          Kind = "service answers half"
	Duplicate    Kind = "callback thrice"
	Hold         Kind = "callback late"
	Drop         Kind = "callback lost"
	Reorder      Kind = "callbacks reordered"
	Forge        Kind = "callback forged"
	Revoke       Kind = "revocation"
)

// ofStore are the kinds during which a node may not reach the store.
var ofStore = map[Kind]bool{
	StoreRestart: true, StoreFreeze: true, StoreFlush: true,
	NetLatency: true, NetLoss: true, NetHole: true, NetRefuse: true, NetReset: true,
}
