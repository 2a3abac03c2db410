// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// whoAmI shows the visitor their own session, as a page or as JSON.
func (v *visitRequest) whoAmI() {
	if v.crossSite() && !isPageLoad(v.r) {
		v.problem(page.ProblemForbidden)
		return
	}
	held, _ := v.openSession(v.r, v.now)
	if !strings.Contains(v.r.Header.Get("Accept"), "text/html") {
		v.whoAmIJSON(held)
		return
	}
	if held == nil {
		v.startPage(visit{Gate: v.gate.id, ReturnTo: "/", Made: v.now.UTC()}, false)
		return
	}
	p := page.Session{Meta: v.meta(), Token: v.logoutToken(), Expires: held.Expires, IdleExpires: v.idleEnd(held)}
	for i := range held.Presentations {
		p.Cards = append(p.Cards, v.card(&held.Presentations[i]))
	}
	v.app.pages.Session(v.w, p)
}

func (v *visitRequest) card(p *verifier.Presentation) page.SessionCard {
	card := page.SessionCard{
		Name: p.Credential, Issuer: p.Issuer, VerifiedAt: p.VerifiedAt, CardExpires: p.CredentialExpires,
		FaceChecked: p.FaceChecked, CrossDevice: p.CrossDevice,
	}
	if known := v.app.credentials[p.Credential]; known != nil {
		card.Name = known.shownName()
	}
	for _, claim := range p.Claims {
		card.Claims = append(card.Claims, page.Claim{Name: claim.Name, Value: claim.Value})
	}
	return card
}

func (v *visitRequest) idleEnd(held *session.Session) time.Time {
	return earlier(held.Expires, held.Seen.Add(time.Duration(v.app.Session.Idle)))
}

// whoAmIJSON is the same for scripts: 401 without a session.
func (v *visitRequest) whoAmIJSON(held *session.Session) {
	v.privateHeaders("application/json")
	if held == nil {
		v.w.WriteHeader(http.StatusUnauthorized)
		return
	}
	type presentation struct {
		Credential string            `json:"credential"`
		Type       string            `json:"type"`
		Issuer     string            `json:"issuer"`
		VerifiedAt time.Time         `json:"verified_at"`
		Claims     map[string]string `json:"claims,omitempty"`
	}
	out := struct {
		Subject       string         `json:"subject"`
		Expires       time.Time      `json:"expires"`
		IdleExpires   time.Time      `json:"idle_expires"`
		Presentations []presentation `json:"presentations"`
	}{Subject: held.Subject, Expires: held.Expires, IdleExpires: v.idleEnd(held)}
	for _, p := range held.Presentations {
		claims := make(map[string]string, len(p.Claims))
		for _, claim := range p.Claims {
			claims[claim.Name] = claim.Value
		}
		out.Presentations = append(out.Presentations, presentation{p.Credential, p.Type, p.Issuer, p.VerifiedAt, claims})
	}
	if body, err := json.Marshal(out); err == nil {
		v.write(body)
	}
}

// confirmLogout asks before it ends a session: a link elsewhere must not do it (TM-155).
func (v *visitRequest) confirmLogout() {
	if v.restingSession(v.r, v.now) == nil {
		v.app.pages.SignedOut(v.w, page.SignedOut{Meta: v.meta()})
		return
	}
	v.app.pages.Logout(v.w, page.Logout{Meta: v.meta(), Token: v.logoutToken()})
}

// logoutToken is a page token that starts nothing.
func (v *visitRequest) logoutToken() string {
	return v.sealVisit(visit{Gate: v.gate.id, ReturnTo: "/", Made: v.now.UTC()})
}

// logout ends the session on the server and in the browser. When the server cannot make it last, this browser and this
// process forget it all the same, and the page does not say that it is over.
func (v *visitRequest) logout() {
	header := v.w.Header()
	v.session.Clear(header)
	v.binding.Clear(header)
	v.journey.Clear(header)
	if held := v.restingSession(v.r, v.now); held != nil {
		if err := v.endSession(context.WithoutCancel(v.r.Context()), held, endedByLogout); err != nil {
			v.log(zapcore.ErrorLevel, "ending a session: other nodes, and this one after a restart, may not know that it has ended", zap.Error(err))
			v.problemAfter(page.ProblemLogout, patience.Store)
			return
		}
	}
	v.app.pages.SignedOut(v.w, page.SignedOut{Meta: v.meta()})
}
