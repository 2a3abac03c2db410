// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// newTransaction is one that has just been started.
func newTransaction() verifier.Transaction {
	return verifier.Transaction{
		ID: "8Jq0h3mQ2vYc1XoTzR5uLw", State: "kR3mZ1xVt7oQdJ5bN9sWfA2hL0yGcU8iEpTqXnM4vBY", Status: verifier.StatusCreated,
		CallbackKeyHash: make([]byte, 32), BindingHash: make([]byte, 32),
		Requirement: employeeRequirement(), Gate: "payroll", ReturnTo: "/payroll", Client: "192.0.2.7",
		Created: fixtureNow, Expires: fixtureNow.Add(5 * time.Minute),
	}
}

// at is a moment after the start of a transaction.
func at(d time.Duration) time.Time { return fixtureNow.Add(d) }

var (
	digestA = [32]byte{1}
	digestB = [32]byte{2}
)

// event is something that can happen to a transaction.
type event struct {
	name string
	move func(t *verifier.Transaction, now time.Time) error
	step func(now time.Time) time.Time // of the clock, instead of a move
}

var events = []event{
	{name: "requested", move: func(t *verifier.Transaction, _ time.Time) error {
		return t.Requested("r", "openid-vc://r", at(5*time.Minute))
	}},
	{name: "requested otherwise", move: func(t *verifier.Transaction, _ time.Time) error {
		return t.Requested("x", "openid-vc://x", at(5*time.Minute))
	}},
	{name: "retrieved", move: func(t *verifier.Transaction, now time.Time) error { return t.Retrieved(now) }},
	{name: "verified A", move: func(t *verifier.Transaction, now time.Time) error {
		return t.Verified(verifier.Presentation{Subject: "A"}, digestA, now)
	}},
	{name: "verified B", move: func(t *verifier.Transaction, now time.Time) error {
		return t.Verified(verifier.Presentation{Subject: "B"}, digestB, now)
	}},
	{name: "refuse", move: func(t *verifier.Transaction, now time.Time) error { return t.Refuse(verifier.ReasonWrongIssuer, now) }},
	{name: "policy changed", move: func(t *verifier.Transaction, now time.Time) error { return t.Refuse(verifier.ReasonPolicyChanged, now) }},
	{name: "fail", move: func(t *verifier.Transaction, now time.Time) error { return t.Fail(verifier.ReasonServiceRefused, now) }},
	{name: "cancel", move: func(t *verifier.Transaction, now time.Time) error { return t.Cancel(now) }},
	{name: "expire", move: func(t *verifier.Transaction, now time.Time) error { return t.Expire(now) }},
	{name: "consume 1", move: func(t *verifier.Transaction, now time.Time) error { _, err := t.Consume("1", now); return err }},
	{name: "consume 2", move: func(t *verifier.Transaction, now time.Time) error { _, err := t.Consume("2", now); return err }},
	{name: "a second passes", step: func(now time.Time) time.Time { return now.Add(time.Second) }},
	{name: "the repeat window passes", step: func(now time.Time) time.Time { return now.Add(31 * time.Second) }},
	{name: "the code expires", step: func(now time.Time) time.Time { return now.Add(5*time.Minute + time.Second) }},
	{name: "the grace passes", step: func(now time.Time) time.Time { return now.Add(2 * time.Minute) }},
	{name: "the clock is set back", step: func(now time.Time) time.Time { return now.Add(-time.Hour) }},
}

// rule is a line of the model: the first line whose status, event and guard fit says what happens.
type rule struct {
	from   []verifier.Status
	events string // names or beginnings of names, separated by "|"
	guard  func(t verifier.Transaction, now time.Time) bool
	to     verifier.Status // "" for no change of status
	err    error
}

// model is TM-038, TM-060, TM-061 and TM-062 as a table. What no line allows is illegal.
var model = func() []rule {
	live := []verifier.Status{verifier.StatusCreated, verifier.StatusRetrieved}
	created, retrieved := live[:1], live[1:]
	verified, consumed := []verifier.Status{verifier.StatusVerified}, []verifier.Status{verifier.StatusConsumed}
	has := func(statuses ...verifier.Status) []verifier.Status { return statuses }
	after := func(end func(t verifier.Transaction) time.Time) func(verifier.Transaction, time.Time) bool {
		return func(t verifier.Transaction, now time.Time) bool { return now.After(end(t)) }
	}
	codeOver := after(func(verifier.Transaction) time.Time { return at(5 * time.Minute) })
	graceOver := after(func(verifier.Transaction) time.Time { return at(7 * time.Minute) })
	finishOver := after(func(t verifier.Transaction) time.Time { return t.VerifiedAt.Add(5 * time.Minute) })
	unknown := func(t verifier.Transaction, _ time.Time) bool { return t.RequestID == "" }
	request := func(id string) func(verifier.Transaction, time.Time) bool {
		return func(t verifier.Transaction, _ time.Time) bool { return t.RequestID == "" || t.RequestID == id }
	}
	result := func(subject string) func(verifier.Transaction, time.Time) bool {
		return func(t verifier.Transaction, _ time.Time) bool { return t.Presentation.Subject == subject }
	}
	inWindow := func(t verifier.Transaction, now time.Time) bool {
		return !now.After(t.ConsumedAt.Add(30*time.Second)) && !now.Before(t.ConsumedAt.Add(-30*time.Second))
	}
	return []rule{
		{live, "requested", request("r"), "", nil},
		{live, "requested otherwise", request("x"), "", nil},

		{live, "retrieved", codeOver, "", verifier.ErrExpired},
		{created, "retrieved", nil, verifier.StatusRetrieved, nil},
		{retrieved, "retrieved", nil, "", nil},

		{live, "verified A|verified B", unknown, "", verifier.ErrNotRequested},
		{created, "verified A|verified B|refuse|policy changed|fail", codeOver, "", verifier.ErrExpired},
		{retrieved, "verified A|verified B|refuse|policy changed|fail", graceOver, "", verifier.ErrExpired},
		{live, "verified A|verified B", nil, verifier.StatusVerified, nil},
		{append(verified, consumed...), "verified A", result("A"), "", nil},
		{append(verified, consumed...), "verified B", result("B"), "", nil},
		{append(verified, consumed...), "verified A|verified B", nil, "", verifier.ErrReplay},

		{live, "refuse|policy changed", nil, verifier.StatusRefused, nil},
		{verified, "policy changed", nil, verifier.StatusRefused, nil},
		{has(verifier.StatusRefused), "refuse|policy changed", nil, "", nil},

		{live, "fail", nil, verifier.StatusFailed, nil},
		{has(verifier.StatusFailed), "fail", nil, "", nil},

		{append(live, verified...), "cancel", nil, verifier.StatusCancelled, nil},
		{has(verifier.StatusCancelled), "cancel", nil, "", nil},

		{created, "expire", codeOver, verifier.StatusExpired, nil},
		{retrieved, "expire", graceOver, verifier.StatusExpired, nil},
		{verified, "expire", finishOver, verifier.StatusExpired, nil},
		{has(verifier.StatusExpired), "expire", nil, "", nil},

		{verified, "consume 1|consume 2", finishOver, "", verifier.ErrExpired},
		{verified, "consume 1|consume 2", nil, verifier.StatusConsumed, nil},
		{consumed, "consume 1|consume 2", inWindow, "", nil},
	}
}()

func (r *rule) fits(t verifier.Transaction, name string, now time.Time) bool {
	return slices.Contains(r.from, t.Status) && slices.Contains(strings.Split(r.events, "|"), name) && (r.guard == nil || r.guard(t, now))
}

// expect asks the model.
func expect(t verifier.Transaction, name string, now time.Time) (verifier.Status, error) {
	for _, rule := range model {
		if rule.fits(t, name, now) {
			if rule.to == "" {
				return t.Status, rule.err
			}
			return rule.to, nil
		}
	}
	return t.Status, verifier.ErrIllegalMove
}

var rank = map[verifier.Status]int{
	verifier.StatusCreated: 0, verifier.StatusRetrieved: 1, verifier.StatusVerified: 2, verifier.StatusConsumed: 3,
	verifier.StatusFailed: 3, verifier.StatusRefused: 3, verifier.StatusExpired: 3, verifier.StatusCancelled: 3,
}

// step lets one event happen to a transaction and compares with the model and with what must hold always.
func step(t *testing.T, before verifier.Transaction, now time.Time, e event, history func() string) verifier.Transaction {
	t.Helper()
	after := before
	err := e.move(&after, now)
	status, wantErr := expect(before, e.name, now)
	switch {
	case !errors.Is(err, wantErr) || after.Status != status:
		t.Fatalf("%s: %s → %s, %v; the model says %s, %v", history(), before.Status, after.Status, err, status, wantErr)
	case err != nil && !reflect.DeepEqual(before, after):
		t.Fatalf("%s: error %v, and yet something changed:\n%s", history(), err, cmp.Diff(before, after))
	case rank[after.Status] < rank[before.Status], rank[before.Status] == 3 && after.Status != before.Status:
		t.Fatalf("%s: went back from %s to %s", history(), before.Status, after.Status)
	case (after.Presentation != nil) != (after.Status == verifier.StatusVerified || after.Status == verifier.StatusConsumed):
		t.Fatalf("%s: presentation %v in %s", history(), after.Presentation, after.Status)
	case after.Status == before.Status && e.name != "requested" && e.name != "requested otherwise" && e.name != "retrieved" && !reflect.DeepEqual(before, after):
		t.Fatalf("%s: a repetition changed something:\n%s", history(), cmp.Diff(before, after))
	case before.Presentation != nil && after.Presentation != nil && before.Presentation.Subject != after.Presentation.Subject:
		t.Fatalf("%s: the holder changed", history())
	case before.SessionID != "" && after.SessionID != before.SessionID:
		t.Fatalf("%s: a second session", history())
	}
	return after
}

// The service promises no order, an attacker repeats what he has recorded, and clocks jump. All orders of up to six events are
// walked; states met before are not walked again, for what follows is the same. TM-060, TM-061, TM-062, TM-136.
func TestAllOrdersOfSixEvents(t *testing.T) {
	t.Parallel()
	type node struct {
		transaction verifier.Transaction
		now         time.Time
		history     []string
	}
	// What a move reads or writes; the rest of a transaction stays as it began.
	type state struct {
		status                                      verifier.Status
		requestID, subject, session                 string
		reason                                      verifier.Reason
		retrievals                                  int
		expires, retrieved, verified, consumed, now time.Time
	}
	stateOf := func(n node) state {
		t := n.transaction
		s := state{t.Status, t.RequestID, "", t.SessionID, t.Reason, t.Retrievals, t.Expires, t.RetrievedAt, t.VerifiedAt, t.ConsumedAt, n.now}
		if t.Presentation != nil {
			s.subject = t.Presentation.Subject
		}
		return s
	}
	known := map[state]bool{}
	begin := newTransaction()
	begin.Requirement = verifier.Requirement{} // no move looks at it, and comparing it takes time
	current := []node{{transaction: begin, now: at(time.Second)}}
	reached := map[verifier.Status]int{}
	for range 6 {
		var next []node
		for _, n := range current {
			for _, e := range events {
				moved := node{n.transaction, n.now, append(slices.Clip(n.history), e.name)}
				if e.step != nil {
					moved.now = e.step(n.now)
				} else {
					moved.transaction = step(t, n.transaction, n.now, e, func() string { return strings.Join(moved.history, ", ") })
				}
				if key := stateOf(moved); !known[key] {
					known[key] = true
					reached[moved.transaction.Status]++
					next = append(next, moved)
				}
			}
		}
		current = next
	}
	if len(reached) != len(rank) {
		t.Errorf("reached %v, want every status", reached)
	}
	t.Logf("%d states: %v", len(known), reached)
}

func FuzzTransaction(f *testing.F) {
	for first := range events {
		for second := range events {
			f.Add([]byte{0, byte(first), byte(second), 3, 10, 3, 11})
		}
	}
	f.Fuzz(func(t *testing.T, sequence []byte) {
		transaction, now := newTransaction(), at(time.Second)
		var history []string
		for _, b := range sequence[:min(len(sequence), 64)] {
			e := events[int(b)%len(events)]
			history = append(history, e.name)
			if e.step != nil {
				now = e.step(now)
				continue
			}
			transaction = step(t, transaction, now, e, func() string { return strings.Join(history, ", ") })
		}
	})
}

// A code that is over opens nothing, and one that was scanned in time does so for two minutes more. TM-038.
func TestLateCallbacks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		retrieved time.Duration // 0: never
		verified  time.Duration
		err       error
	}{
		{"in time", time.Minute, 2 * time.Minute, nil},
		{"never reported as retrieved, at the last moment", 0, 5 * time.Minute, nil},
		{"never reported as retrieved, too late", 0, 5*time.Minute + 1, verifier.ErrExpired},
		{"retrieved at the last moment, verified at the last moment", 5 * time.Minute, 7 * time.Minute, nil},
		{"retrieved in time, verified too late", time.Second, 7*time.Minute + 1, verifier.ErrExpired},
		{"retrieved too late", 5*time.Minute + 1, 5*time.Minute + 2, verifier.ErrExpired},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			transaction := newTransaction()
			if err := transaction.Requested("r", "openid-vc://r", at(5*time.Minute)); err != nil {
				t.Fatal(err)
			}
			if test.retrieved != 0 {
				_ = transaction.Retrieved(at(test.retrieved))
			}
			if err := transaction.Verified(verifier.Presentation{}, digestA, at(test.verified)); !errors.Is(err, test.err) {
				t.Errorf("Verified = %v, want %v", err, test.err)
			}
		})
	}
}

// Two phones scan one code: counted, for an audit event, and nothing reopens. TM-039.
func TestSecondRetrievalIsCounted(t *testing.T) {
	t.Parallel()
	transaction := newTransaction()
	for range 3 {
		if err := transaction.Retrieved(at(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if transaction.Retrievals != 3 || transaction.Status != verifier.StatusRetrieved || !transaction.RetrievedAt.Equal(at(time.Minute)) {
		t.Errorf("transaction is %+v", transaction)
	}
}

// The browser's first answer was lost on the way: the same session again, for 30 seconds, and never another. TM-032.
func TestFinishIsRepeatableForHalfAMinute(t *testing.T) {
	t.Parallel()
	transaction := newTransaction()
	if _, err := transaction.Consume("session", at(0)); !errors.Is(err, verifier.ErrIllegalMove) {
		t.Errorf("Consume before verified = %v", err)
	}
	_ = transaction.Requested("r", "openid-vc://r", at(5*time.Minute))
	if err := transaction.Verified(verifier.Presentation{}, digestA, at(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := transaction.Consume("", at(time.Minute)); err == nil {
		t.Error("Consume took an empty session ID")
	}
	tests := []struct {
		now  time.Duration
		want string
		err  error
	}{
		{time.Minute, "1", nil},
		{time.Minute + 30*time.Second, "1", nil},
		{time.Minute + 31*time.Second, "", verifier.ErrIllegalMove},
		{30 * time.Second, "1", nil}, // another node's clock
		{-time.Hour, "", verifier.ErrIllegalMove},
	}
	for i, test := range tests {
		id, err := transaction.Consume(fmt.Sprint(i+1), at(test.now))
		if id != test.want || !errors.Is(err, test.err) {
			t.Errorf("Consume at %v = %q, %v, want %q, %v", test.now, id, err, test.want, test.err)
		}
	}
}

// A result that its browser does not fetch ends. TM-062.
func TestVerifiedResultDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	transaction := newTransaction()
	_ = transaction.Requested("r", "openid-vc://r", at(5*time.Minute))
	_ = transaction.Verified(verifier.Presentation{}, digestA, at(time.Minute))
	if _, err := transaction.Consume("1", at(6*time.Minute+1)); !errors.Is(err, verifier.ErrExpired) {
		t.Errorf("Consume = %v, want %v", err, verifier.ErrExpired)
	}
	if _, err := transaction.Consume("1", at(6*time.Minute)); err != nil {
		t.Errorf("Consume at the last moment = %v", err)
	}
}

// Whoever holds the key of his own transaction reports on another's. Key, state and request ID belong to one. TM-057, TM-049.
func TestCallbackOfAnotherTransaction(t *testing.T) {
	t.Parallel()
	requested := newTransaction()
	_ = requested.Requested("r", "openid-vc://r", at(5*time.Minute))
	pending := newTransaction()
	retrieved, verified := verifier.StatusRequestRetrieved, verifier.StatusPresentationVerified
	tests := []struct {
		name        string
		transaction verifier.Transaction
		got         verifier.Callback
		err         error
	}{
		{"ours", requested, verifier.Callback{State: requested.State, RequestID: "r", Status: verified}, nil},
		{"other state", requested, verifier.Callback{State: "other", RequestID: "r", Status: verified}, verifier.ErrNotOurs},
		{"state cut", requested, verifier.Callback{State: requested.State[:42], RequestID: "r", Status: verified}, verifier.ErrNotOurs},
		{"no state", requested, verifier.Callback{RequestID: "r", Status: verified}, verifier.ErrNotOurs},
		{"other request", requested, verifier.Callback{State: requested.State, RequestID: "x", Status: verified}, verifier.ErrNotOurs},
		{"no request", requested, verifier.Callback{State: requested.State, Status: verified}, verifier.ErrNotOurs},
		{"request in other case", requested, verifier.Callback{State: requested.State, RequestID: "R", Status: retrieved}, verifier.ErrNotOurs},
		{"verified before the answer", pending, verifier.Callback{State: requested.State, RequestID: "r", Status: verified}, verifier.ErrNotRequested},
		{"verified before the answer, no request", pending, verifier.Callback{State: requested.State, Status: verified}, verifier.ErrNotRequested},
		{"retrieved before the answer", pending, verifier.Callback{State: requested.State, RequestID: "r", Status: retrieved}, nil},
		{"other state before the answer", pending, verifier.Callback{State: "other", RequestID: "r", Status: retrieved}, verifier.ErrNotOurs},
		{"nothing against nothing", verifier.Transaction{}, verifier.Callback{}, verifier.ErrNotOurs},
	}
	for _, test := range tests {
		if err := test.transaction.Owns(test.got); !errors.Is(err, test.err) {
			t.Errorf("%s: Owns = %v, want %v", test.name, err, test.err)
		}
	}
}

func TestRequestedIsRecordedOnce(t *testing.T) {
	t.Parallel()
	transaction := newTransaction()
	if err := transaction.Requested("", "openid-vc://r", at(time.Minute)); !errors.Is(err, verifier.ErrIllegalMove) {
		t.Errorf("Requested without request ID = %v", err)
	}
	if err := transaction.Requested("r", "openid-vc://r", at(time.Minute)); err != nil || !transaction.Expires.Equal(at(time.Minute)) {
		t.Errorf("Requested = %v, expires %v", err, transaction.Expires)
	}
	for _, other := range []struct {
		id, link string
		expires  time.Time
	}{{"x", "openid-vc://r", at(time.Minute)}, {"r", "openid-vc://x", at(time.Minute)}, {"r", "openid-vc://r", at(time.Hour)}} {
		if err := transaction.Requested(other.id, other.link, other.expires); !errors.Is(err, verifier.ErrIllegalMove) {
			t.Errorf("Requested(%v) = %v", other, err)
		}
	}
}

// No visitor can make us keep more than 2 KiB while he is pending. TM-119.
func TestPendingTransactionIsSmall(t *testing.T) {
	t.Parallel()
	transaction := newTransaction()
	transaction.Requirement = fullRequirement()
	transaction.Requirement.AcceptedIssuers = append(transaction.Requirement.AcceptedIssuers,
		"did:web:verifiedid.entra.microsoft.com:7c1f6a0e-52d3-4a8b-9f47-1d2c3b4a5e6f:1a2b3c4d-52d3-4a8b-9f47-1d2c3b4a5e6f")
	transaction.ReturnTo = "/" + strings.Repeat("x", 255)
	transaction.CorrelationVector = strings.Repeat("x", 128)
	_ = transaction.Requested("c4b1f0de-93a7-4c1e-8f25-6d7a0b9e4c31", "openid-vc://?request_uri=https://verifiedid.did.msidentity.com/v1.0/"+
		"7c1f6a0e-52d3-4a8b-9f47-1d2c3b4a5e6f/verifiableCredentials/presentationRequests/c4b1f0de-93a7-4c1e-8f25-6d7a0b9e4c31", at(5*time.Minute))
	_ = transaction.Retrieved(at(time.Minute))
	b, err := json.Marshal(transaction)
	if err != nil || len(b) > 2<<10 {
		t.Errorf("%d bytes, %v\n%s", len(b), err, b)
	}
	var again verifier.Transaction
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(transaction, again); diff != "" {
		t.Errorf("stored and read again, -want +got:\n%s", diff)
	}
}
