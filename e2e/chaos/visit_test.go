// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

const (
	// pressing is how often somebody presses a button that brings no answer, or one to come back.
	pressing = 12
)

// enter is one way in, from the page that somebody wanted to that page. It returns nil if the run ended meanwhile.
func (p *person) enter(ctx context.Context) *Visit {
	v := &Visit{Visitor: p.name, Span: Span{Began: time.Now()}}
	p.walk(ctx, v)
	v.Ended = time.Now()
	if ctx.Err() != nil {
		return nil
	}
	p.w.recorder.keep(func(h *History) { h.Visits = append(h.Visits, *v) })
	return v
}

// walk takes the steps of a visit until it has an outcome.
func (p *person) walk(ctx context.Context, v *Visit) {
	_, number, _ := strings.Cut(p.name, " ")
	p.wanted = fmt.Sprintf("/payroll/%s/%d", number, p.asked)
	v.Wanted = p.wanted + "?year=2026"
	a := p.send(ctx, request{step: StepApp, path: v.Wanted})
	if a.Status == http.StatusOK { // the logout has not worked, or the last way in broke off at its end
		p.holds, v.Request, v.Session, v.Outcome = a.Session, p.taken, a.Session, Entered
		return
	}
	if a.Status != http.StatusSeeOther {
		v.end(a)
		return
	}
	if a = p.send(ctx, request{step: StepStart, path: a.to}); a.Status != http.StatusOK {
		v.end(a)
		return
	}
	if len(p.wallet.Cards()) == 0 && !p.detour(ctx, v) {
		return
	}
	a = p.send(ctx, request{step: StepRequest, path: "/.verified-id/request", form: url.Values{"token": {p.token}, "credential": {"employee"}}})
	at, err := url.Parse(a.to)
	if v.Transaction = ""; err == nil {
		v.Transaction = at.Query().Get("t")
	}
	if a.Status != http.StatusSeeOther || v.Transaction == "" {
		v.end(a)
		return
	}
	wait := "/.verified-id/wait?t=" + url.QueryEscape(v.Transaction)
	if a = p.press(ctx, request{step: StepWait, path: wait, transaction: v.Transaction}); a.Status != http.StatusOK {
		v.end(a)
		return
	}
	found := walletLink.FindStringSubmatch(a.body)
	if found == nil {
		v.Outcome, v.Why = StartAgain, a.Page
		return
	}
	link := html.UnescapeString(found[1])
	v.Request = path.Base(link)
	if !p.present(ctx, v, link) || !p.watch(ctx, v) {
		return
	}
	if p.random.Float64() < 0.15 {
		p.steal(ctx, v)
	}
	p.take(ctx, v, wait)
}

// end ends a visit by an answer that does not lead on.
func (v *Visit) end(a answer) {
	v.Why = a.Page
	switch a.Status {
	case 0:
		v.Outcome, v.Why = Unreached, a.Err
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		v.Outcome = Later
	case http.StatusForbidden, http.StatusNotFound, http.StatusSeeOther:
		v.Outcome = StartAgain
	default: // without a name, which is a violation
		v.Outcome = Outcome(http.StatusText(a.Status))
	}
}

// press sends a request until it is answered by something else than nothing, or a page that says to come back.
func (p *person) press(ctx context.Context, r request) (a answer) {
	for range pressing {
		if a = p.send(ctx, r); a.Status != 0 && a.Status != http.StatusServiceUnavailable {
			return a
		}
		if !pause(ctx, min(max(a.after, 300*time.Millisecond), time.Second)) {
			return a
		}
	}
	return a
}

// present opens the link with the wallet and shows the card. It says whether the wallet came so far.
func (p *person) present(ctx context.Context, v *Visit, link string) bool {
	offer, err := p.wallet.Open(ctx, link)
	if err != nil {
		v.Outcome, v.Why = StartAgain, "the wallet could not open the link: "+err.Error()
		return false
	}
	if !pause(ctx, p.between(50*time.Millisecond, 500*time.Millisecond)) {
		return false
	}
	outcome, err := offer.Share(ctx, emulator.ShareOptions{FaceScore: p.score})
	if err != nil {
		v.Outcome, v.Why = StartAgain, "the wallet could not present: "+err.Error()
		return false
	}
	v.Told = outcome.Accepted
	if !v.Told {
		v.Why = outcome.Code
	}
	return true
}

// why is what the page with the code says.
func (p *person) why(ctx context.Context, v *Visit) string {
	return p.send(ctx, request{step: StepWait, path: "/.verified-id/wait?t=" + url.QueryEscape(v.Transaction), transaction: v.Transaction}).Page
}

// steal is somebody who knows the transaction and has a browser and a page of their own.
func (p *person) steal(ctx context.Context, v *Visit) {
	thief := p.w.newBrowser()
	start := p.send(ctx, request{step: StepThief, path: "/.verified-id/start", browser: thief, transaction: v.Transaction})
	token := p.token
	if found := pageToken.FindStringSubmatch(start.body); found != nil && p.random.IntN(2) == 0 {
		token = found[1]
	}
	p.send(ctx, request{
		step: StepThief, path: "/.verified-id/finish", browser: thief, transaction: v.Transaction,
		form: url.Values{"token": {token}, "t": {v.Transaction}},
	})
}

// take takes the result, and goes where the visitor was going.
func (p *person) take(ctx context.Context, v *Visit, wait string) {
	if a := p.press(ctx, request{step: StepWait, path: wait, transaction: v.Transaction}); a.Status != http.StatusOK {
		v.end(a)
		return
	}
	finish := request{
		step: StepFinish, path: "/.verified-id/finish", transaction: v.Transaction, form: url.Values{"token": {p.token}, "t": {v.Transaction}},
	}
	a := p.press(ctx, finish)
	if a.Status != http.StatusOK || !a.Gives {
		v.end(a)
		if v.Outcome == StartAgain {
			v.Why = p.why(ctx, v)
		}
		return
	}
	v.Landed, p.taken = a.to, v.Request
	if p.random.Float64() < 0.1 { // a button pressed twice
		p.send(ctx, finish)
	}
	p.holds = "of transaction " + v.Transaction // until the app tells its name
	for range pressing {
		a = p.send(ctx, request{step: StepApp, path: "/" + strings.TrimPrefix(v.Landed, "/")})
		if a.Status == http.StatusOK {
			p.holds, v.Session, v.Outcome = a.Session, a.Session, Entered
			return
		}
		if a.Status != 0 && a.Policy != Strict || !pause(ctx, 500*time.Millisecond) {
			break
		}
	}
	p.holds = ""
	v.end(a)
}
