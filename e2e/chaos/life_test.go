// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	// tries is how often somebody tries to get in before they give up.
	tries = 8
	// residents is how many people stay until the end, for each of those who come and go.
	residents = 2
)

// come lets one person after the other come, work and go, until the run is over. The last ones stay.
func (w *world) come(ctx context.Context, seed uint64, number int) {
	var staying []*person
	for n := 0; ctx.Err() == nil; n++ {
		random := rand.New(rand.NewPCG(seed, uint64(number)<<32+uint64(n)+2)) //nolint:gosec // G404: conduct, not secrets
		p, err := w.newPerson(fmt.Sprintf("Visitor %dx%d", number, n), random)
		if err != nil {
			w.t.Errorf("making a visitor: %v", err)
			return
		}
		p.live(ctx)
		if p.holds != "" {
			staying = append(staying, p)
		}
		if len(staying) > residents { // the one who came first goes home, without a word
			w.people.unset(staying[0].holds)
			staying = staying[1:]
		}
		for _, one := range staying {
			one.work(ctx, 1)
		}
	}
}

// live is one person's day.
func (p *person) live(ctx context.Context) {
	for range 2 {
		if !p.getIn(ctx) {
			return
		}
		p.work(ctx, 3+p.random.IntN(10))
		if p.holds == "" || p.random.Float64() < 0.5 {
			return
		}
		p.logOut(ctx)
	}
}

// getIn tries until the person is in.
func (p *person) getIn(ctx context.Context) bool {
	for range tries {
		v := p.enter(ctx)
		if v == nil {
			return false
		}
		if v.Outcome == Entered {
			p.w.people.set(p.holds, p)
			return true
		}
		if !pause(ctx, p.between(200*time.Millisecond, 1500*time.Millisecond)) {
			return false
		}
	}
	return false
}

// work asks for pages of the app, as long as the session lasts.
func (p *person) work(ctx context.Context, pages int) {
	for range pages {
		if p.holds == "" || !pause(ctx, p.between(30*time.Millisecond, 400*time.Millisecond)) {
			return
		}
		r := request{step: StepApp, path: "/payroll/page"}
		if p.random.IntN(3) == 0 {
			r = request{step: StepScript, path: "/payroll/data", script: true}
		}
		a := p.send(ctx, r)
		if challenged := a.Status == http.StatusSeeOther || a.Status == http.StatusUnauthorized; challenged && a.Policy != Strict {
			p.forget()
		}
	}
}

// logOut ends the session, and lets those who have copied its cookie try it for a while.
func (p *person) logOut(ctx context.Context) {
	thief := p.copied()
	p.w.people.end(copied{p, thief})
	p.send(ctx, request{step: StepLogout, path: "/.verified-id/logout", form: map[string][]string{}})
	p.forget()
	for range 3 {
		if !pause(ctx, p.between(0, 3*time.Second)) {
			return
		}
		p.send(ctx, request{step: StepStale, path: "/payroll/stolen", script: true, browser: thief})
	}
}

func (p *person) forget() {
	p.w.people.unset(p.holds)
	p.holds = ""
}
