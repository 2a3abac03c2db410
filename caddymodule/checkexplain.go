// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// explain names the rule behind a refusal, for each card that the gate would have taken.
func (g *Gate) explain(r *http.Request, held *session.Session, refusal verifier.Reason, now time.Time) []string {
	switch {
	case refusal == bindMissing:
		return []string{fmt.Sprintf("bind %s %s: the request has no such value; give it with --set or --header", g.Bind.Claim, g.Bind.Value)}
	case held == nil:
		return []string{"there is no session"}
	}
	var out []string
	for i := range g.wants {
		w := &g.wants[i]
		at := slices.IndexFunc(held.Presentations, func(p verifier.Presentation) bool { return p.Credential == w.credential.name })
		if at < 0 {
			out = append(out, fmt.Sprintf("%s: not presented", w.credential.name))
			continue
		}
		presentation := &held.Presentations[at]
		reason := w.demand().Meets(presentation, time.Duration(g.MaxAge), now)
		out = append(out, fmt.Sprintf("%s: %s", w.credential.name, g.rule(r, w, presentation, reason, now)))
	}
	return out
}

// rule is the option that decided, what it demands and what the card has.
func (g *Gate) rule(r *http.Request, w *want, p *verifier.Presentation, reason verifier.Reason, now time.Time) string {
	switch {
	case reason == verifier.ReasonPresentationTooOld:
		return fmt.Sprintf("max_age %s, and it was presented %s ago", caddyDuration(time.Duration(g.MaxAge)), now.Sub(p.VerifiedAt).Round(time.Second))
	case reason == verifier.ReasonFaceCheckLow:
		return fmt.Sprintf("face_check %d, and the score is %g", w.requirement.FaceCheck.Threshold, p.FaceScore)
	case reason == verifier.ReasonRequiredClaim:
		for _, rule := range g.Require {
			value, has := p.Claim(rule.Claim)
			switch {
			case !has:
				return fmt.Sprintf("require %s %s, and the card has no such claim", rule.Claim, strings.Join(rule.Values, " "))
			case !slices.Contains(rule.Values, value):
				return fmt.Sprintf("require %s %s, and the card says %q", rule.Claim, strings.Join(rule.Values, " "), value)
			}
		}
	case reason == "" && g.Bind != nil:
		value, _ := p.Claim(g.Bind.Claim)
		bound, _ := g.bound(r)
		return fmt.Sprintf("bind %s %s, which is %q, and the card says %q", g.Bind.Claim, g.Bind.Value, bound, value)
	}
	return string(reason)
}
