// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// presented is one card of the claims file.
type presented struct {
	Credential   string            `json:"credential"`
	Issuer       string            `json:"issuer"`
	Claims       map[string]string `json:"claims"`
	FaceScore    *float64          `json:"face_score"`
	Verified     caddy.Duration    `json:"verified"`
	Issued       string            `json:"issued"`
	Expires      string            `json:"expires"`
	Revoked      bool              `json:"revoked"`
	LinkedDomain string            `json:"linked_domain"`
	CrossDevice  bool              `json:"cross_device"`
}

// readPresented reads a claims file: one object, or a list of them. No file means no session.
func readPresented(path string) ([]presented, error) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path) //nolint:gosec // whoever runs the command names the file
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(bytes.TrimSpace(content), []byte("[")) {
		content = slices.Concat([]byte("["), content, []byte("]"))
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	var cards []presented
	if err := decoder.Decode(&cards); err != nil {
		return nil, fmt.Errorf("--claims %s: %w", path, err)
	}
	slices.SortStableFunc(cards, func(a, b presented) int { return int(b.Verified - a.Verified) })
	return cards, nil
}

// checkTrace follows one request through the gates.
type checkTrace struct {
	out     io.Writer
	now     time.Time
	sites   []*site
	gates   int
	refused bool
}

// run sends the request through the routes of the first server that has a gate for it: once to learn which site that is, and
// once more with the session that these cards make there.
func (p *checkPlan) run(out io.Writer, r *http.Request, cards []presented) (passes bool, err error) {
	for _, server := range p.servers {
		first := p.send(io.Discard, server, r.Clone(r.Context()))
		if first.gates == 0 {
			continue
		}
		request := r.Clone(r.Context())
		for _, s := range first.sites {
			if err := s.bring(out, request, cards); err != nil {
				return false, err
			}
		}
		trace := p.send(out, server, request)
		if trace.refused {
			fmt.Fprintln(out, "outcome: refuse")
		} else {
			fmt.Fprintln(out, "outcome: pass")
		}
		return !trace.refused, nil
	}
	fmt.Fprintln(out, "outcome: pass. NO GATE has seen this request: nothing stands between it and the app")
	return true, nil
}

func (p *checkPlan) send(out io.Writer, server *caddyhttp.Server, r *http.Request) *checkTrace {
	trace := &checkTrace{out: out, now: p.app.now()}
	p.app.observe = trace.gate
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, r)
	if trace.refused {
		fmt.Fprintln(out, "  "+answerWords(answer.Code))
	}
	return trace
}

func answerWords(code int) string {
	switch code {
	case http.StatusSeeOther:
		return "the browser is led to the start page (303)"
	case http.StatusUnauthorized:
		return "answered with what is missing, as problem+json (401)"
	}
	return fmt.Sprintf("answered %d", code)
}

// bring makes the session that these cards would make on this site, and gives the request its cookie. Cards that would be
// refused are named and left out.
func (s *site) bring(out io.Writer, r *http.Request, cards []presented) error {
	var held *session.Session
	for i := range cards {
		card := &cards[i]
		c := s.app.credentials[card.Credential]
		if c == nil {
			return fmt.Errorf("--claims: credential %q is not defined; the config has %s", card.Credential,
				strings.Join(slices.Sorted(maps.Keys(s.app.credentials)), ", "))
		}
		at := s.app.now().Add(-time.Duration(card.Verified))
		want := c.requirement(0, nil)
		if len(want.AcceptedIssuers) == 0 {
			fmt.Fprintf(out, "card %s: not accepted, its type and issuer are not known here\n", card.Credential)
			continue
		}
		shown, err := verifier.Evaluate(want, card.callback(&want), at)
		if refusal, ok := errors.AsType[*verifier.Refusal](err); ok {
			fmt.Fprintf(out, "card %s: not accepted, %s\n", card.Credential, strings.TrimSpace(string(refusal.Reason)+" "+refusal.Claim))
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "card %s: accepted\n", card.Credential)
		shown.CrossDevice = card.CrossDevice
		held = s.newSession("check", &verifier.Transaction{
			Presentation: &shown, Requirement: verifier.Requirement{Credential: card.Credential}, CrossDevice: card.CrossDevice, ConsumedAt: at,
		}, held)
	}
	if held == nil {
		return nil
	}
	held.Seen = s.app.now()
	if s.ended(held, s.app.now()) != "" {
		fmt.Fprintf(out, "the session has ended: it began %s ago and lives %s\n",
			s.app.now().Sub(held.Created).Round(time.Second), held.Expires.Sub(held.Created))
	}
	r.Header.Add("Cookie", s.session.Name+"="+s.seal(held))
	return nil
}

// callback is what the Request Service would report about the card.
func (card *presented) callback(want *verifier.Requirement) verifier.Callback {
	shown := verifier.VerifiedCredential{
		Issuer: card.Issuer, Types: []string{want.Type}, RevocationStatus: "VALID",
		IssuanceDate: card.Issued, ExpirationDate: card.Expires, DomainURL: card.LinkedDomain,
	}
	if card.Issuer == "" {
		shown.Issuer = want.AcceptedIssuers[0]
	}
	if card.Revoked {
		shown.RevocationStatus = "REVOKED"
	}
	if card.LinkedDomain == "" && len(want.LinkedDomains) > 0 {
		shown.DomainURL = "https://" + want.LinkedDomains[0] + "/"
	}
	if card.FaceScore != nil {
		shown.FaceCheck = &verifier.FaceCheckResult{Score: *card.FaceScore}
	}
	for _, name := range slices.Sorted(maps.Keys(card.Claims)) {
		shown.Claims = append(shown.Claims, verifier.Claim{Name: name, Value: card.Claims[name]})
	}
	return verifier.Callback{
		Status: verifier.StatusPresentationVerified, Subject: "did:example:holder", Credentials: []verifier.VerifiedCredential{shown},
	}
}

// gate tells what one gate has decided, and by which rule.
func (t *checkTrace) gate(g *Gate, r *http.Request, passes bool) {
	t.gates++
	if !slices.Contains(t.sites, g.site) && !slices.ContainsFunc(t.sites, func(s *site) bool { return s.session.Name == g.site.session.Name }) {
		t.sites = append(t.sites, g.site)
	}
	fmt.Fprintf(t.out, "gate %d, verified_id %s: ", t.gates, strings.Join(g.credentialNames(), " "))
	held, _ := g.site.openSession(r, t.now)
	id, refusal := g.decide(r, held, t.now)
	applies, err := g.applies(r)
	_, own := ownPath(r)
	switch {
	case own:
		fmt.Fprintln(t.out, "one of its own pages")
		t.refused = true
	case err != nil || (!passes && refusal == ""):
		fmt.Fprintln(t.out, "refuses the request as such")
		t.refused = true
	case !passes:
		fmt.Fprintf(t.out, "refuses, %s\n", refusal)
		for _, line := range g.explain(r, held, refusal, t.now) {
			fmt.Fprintln(t.out, "  "+line)
		}
		t.refused = true
	case !applies:
		fmt.Fprintln(t.out, "passes, its matcher does not match")
	case g.isPublic(r):
		fmt.Fprintln(t.out, "passes as nobody, the path is public")
	case refusal != "":
		fmt.Fprintf(t.out, "passes as nobody (optional, report_only or preflight); otherwise it would refuse, %s\n", refusal)
	default:
		fmt.Fprintf(t.out, "passes with %s\n", id.presentation.Credential)
		header := http.Header{}
		g.setHeaders(header, id, "a signed JWT, as docs/assertion.md describes")
		for _, name := range slices.Sorted(maps.Keys(header)) {
			fmt.Fprintf(t.out, "  %s: %s\n", name, header.Get(name))
		}
	}
}

func (g *Gate) credentialNames() []string {
	names := make([]string, len(g.wants))
	for i := range g.wants {
		names[i] = g.wants[i].credential.name
	}
	return names
}
