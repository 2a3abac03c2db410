// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// member is somebody who works with a session for long, and takes the cookies that the gate sends, as a browser does.
type member struct {
	w    *world
	i    int
	who  *person
	wire *wire

	mu sync.Mutex
	v  *visitor
	// bytes is the request with the cookies of now.
	bytes []byte
}

func (s *soak) member(ctx context.Context, i int) (*member, error) {
	who, err := s.w.persons.get(i)
	if err != nil {
		return nil, err
	}
	m := &member{w: s.w, i: i, who: who, wire: s.w.wire()}
	// Without a bound, one stall lets the clock open thousands of connections, whose handshakes keep the machine busy for ever.
	m.wire.slots = make(chan struct{}, browserConnections)
	return m, m.renew(ctx)
}

// renew verifies again.
func (m *member) renew(ctx context.Context) error {
	v := m.w.newVisitor(m.i)
	if outcome := v.flow(ctx, m.who); outcome != good {
		return fmt.Errorf("verifying a visitor: %s", outcome)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.v, m.bytes = v, v.bytes(http.MethodGet, "/payroll", "", "text/html")
	return nil
}

// ask asks for the app and compares whom it takes the member for.
func (m *member) ask(ctx context.Context) string {
	m.mu.Lock()
	asked := m.bytes
	m.mu.Unlock()
	answer, err := m.wire.do(ctx, asked)
	if err != nil {
		return "app: " + failure(err)
	}
	if len(answer.header["Set-Cookie"]) > 0 {
		m.mu.Lock()
		for _, cookie := range (&http.Response{Header: answer.header}).Cookies() {
			m.v.cookies[cookie.Name] = cookie.Value
		}
		m.bytes = m.v.bytes(http.MethodGet, "/payroll", "", "text/html")
		m.mu.Unlock()
	}
	outcome := judge(answer, m.who)
	if answer.status == http.StatusSeeOther && strings.Contains(answer.header.Get("Location"), "/.verified-id/start") {
		return wrongLogout
	}
	return outcome
}

// wrongLogout is a session that was not taken although it should be.
const wrongLogout = "WRONG: logged out"
