// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"net/http"
)

// nextStep is where the one button of a problem page leads.
type nextStep string

const (
	nextAgain nextStep = "next_again" // the start page, because it may work now
	nextStart nextStep = "next_start" // the start page, because this attempt is over
	nextSite  nextStep = "next_site"  // the site itself
	nextCheck nextStep = "next_check" // the start page, for the first time
)

// problems are the usual status and the way on of each kind.
var problems = map[string]struct {
	status int
	next   nextStep
}{
	ProblemUnavailable: {http.StatusServiceUnavailable, nextAgain},
	ProblemBusy:        {http.StatusServiceUnavailable, nextAgain},
	ProblemLimited:     {http.StatusTooManyRequests, nextAgain},
	ProblemBudget:      {http.StatusServiceUnavailable, nextAgain},
	ProblemStore:       {http.StatusServiceUnavailable, nextAgain},
	ProblemLogout:      {http.StatusServiceUnavailable, nextSite},
	ProblemNotFound:    {http.StatusNotFound, nextSite},
	ProblemBadRequest:  {http.StatusBadRequest, nextStart},
	ProblemForbidden:   {http.StatusForbidden, nextStart},
	ProblemExpired:     {http.StatusForbidden, nextStart},
	ProblemCookies:     {http.StatusForbidden, nextStart},
	ProblemPartner:     {http.StatusServiceUnavailable, nextStart},
	ProblemNotAllowed:  {http.StatusMethodNotAllowed, nextSite},
	ProblemInternal:    {http.StatusInternalServerError, nextAgain},
	ProblemNotSent:     {http.StatusUnauthorized, nextCheck},
	ProblemUnbound:     {http.StatusForbidden, nextAgain},
	ProblemNetwork:     {http.StatusForbidden, nextAgain},
}

// problemPage is [Problem] with what its template needs besides.
type problemPage struct {
	Problem
	Title, Text     string
	When            string // when to come back, in words; may be empty
	Next, NextLabel string
}

// Problem writes an error page with its status.
func (r *Renderer) Problem(w http.ResponseWriter, p Problem) { r.write(w, r.problemView(p)) }

func (r *Renderer) problemView(p Problem) view {
	p.Meta = r.complete(p.Meta)
	kind, ok := problems[p.Kind]
	if !ok {
		p.Kind = ProblemInternal
		kind = problems[p.Kind]
	}
	if p.Status < 400 || p.Status > 599 {
		p.Status = kind.status
	}
	page := problemPage{
		Problem: p,
		Title:   r.texts["problem_"+p.Kind+"_title"], Text: r.texts["problem_"+p.Kind],
		Next: p.StartPath, NextLabel: r.texts[string(kind.next)],
	}
	if kind.next == nextSite {
		page.Next = "/"
	}
	switch minutes := (p.RetryAfter + 59) / 60; {
	case minutes > 90:
		page.When = fmt.Sprintf(r.texts["when_hours"], (minutes+59)/60)
	case p.RetryAfter <= 0:
	case p.RetryAfter < 30:
		page.When = r.texts["when_soon"]
	case minutes == 1:
		page.When = r.texts["when_minute"]
	default:
		page.When = fmt.Sprintf(r.texts["when_minutes"], minutes)
	}
	return view{problemTemplate, p.Status, p.Meta, page}
}
