// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"log/slog"
	"net/http"

	"github.com/caddy-verified-id/caddy-verified-id/emulator/internal/frame"
)

// arrive is the kickstart URL: it judges the token and begins a visit. The redirect that
// follows takes the token out of the address bar and the history.
func (p *Partner) arrive(w http.ResponseWriter, r *http.Request) {
	org, ok := p.orgs[r.PathValue("org")]
	if !ok {
		p.notFound(w, r)
		return
	}
	now := p.cfg.Now()
	var raw string
	if tokens := r.URL.Query()["token"]; len(tokens) == 1 {
		raw = tokens[0]
	}
	k, result := org.examine(r.Context(), raw, now)
	org.Fault.find(&result)
	if result.ok() {
		first := p.visits.spend(org.ID, k.RequestID, k.Expires, now)
		result.add(checkOnce, first, "This RequestId has been here already. Go back and begin again: every start needs a new one.")
	}
	if !result.ok() {
		p.refuse(w, r, org, result)
		return
	}
	id, err := p.randomText()
	if err != nil {
		p.broken(w, r, err)
		return
	}
	v := visit{id: id, org: org, kickstart: k, begun: now, stage: stageDocument, person: TestPerson, credential: &org.offers[0]}
	p.visits.add(v)
	p.log(r.Context(), "visit begun", v)
	seeVisit(w, r, id)
}

func (p *Partner) refuse(w http.ResponseWriter, r *http.Request, org *organisation, result report) {
	p.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "kickstart token refused",
		slog.String("organisation", org.ID), slog.Any("checks", result.failed()))
	p.pages.Write(w, http.StatusForbidden, "refused", frame.Head{Title: "This link does not work"}, struct {
		Organisation string
		Mode         Mode
		Failed       int
		Findings     []Finding
		Said         string
	}{org.Name, org.Mode, len(result.failed()), result.findings, result.said})
}

// broken answers a fault of the emulator itself.
func (p *Partner) broken(w http.ResponseWriter, r *http.Request, err error) {
	p.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "page failed", slog.String("error", err.Error()))
	p.pages.Write(w, http.StatusInternalServerError, "broken", frame.Head{Title: "Something broke"}, err.Error())
}
