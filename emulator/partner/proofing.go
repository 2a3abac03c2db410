// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// maxParticular bounds one field of the form, in characters.
const maxParticular = 60

// takeDocument reads the particulars, which stand for the passport's data page.
func (p *Partner) takeDocument(w http.ResponseWriter, r *http.Request, v visit) {
	person := Person{
		FirstName:      strings.TrimSpace(r.PostFormValue("first_name")),
		LastName:       strings.TrimSpace(r.PostFormValue("last_name")),
		DateOfBirth:    strings.TrimSpace(r.PostFormValue("date_of_birth")),
		DocumentNumber: strings.TrimSpace(r.PostFormValue("document_number")),
	}
	var chosen *Credential
	for i := range v.org.offers {
		if v.org.offers[i].Type == r.PostFormValue("credential") {
			chosen = &v.org.offers[i]
		}
	}
	problem := person.problem(p.cfg.Now())
	if chosen == nil {
		problem = "Choose the card you need."
	}
	p.visits.update(v.id, func(v *visit) {
		v.person, v.problem = person, problem
		if chosen != nil {
			v.credential = chosen
		}
		if problem == "" {
			v.stage, v.portrait = stageSelfie, nil
		}
	})
	seeVisit(w, r, v.id)
}

func (p Person) problem(now time.Time) string {
	for _, field := range []struct{ name, value string }{
		{"First name", p.FirstName}, {"Last name", p.LastName}, {"Document number", p.DocumentNumber},
	} {
		switch {
		case field.value == "":
			return field.name + " is missing."
		case utf8.RuneCountInString(field.value) > maxParticular:
			return fmt.Sprintf("%s is longer than %d characters.", field.name, maxParticular)
		}
	}
	born, err := time.Parse(time.DateOnly, p.DateOfBirth)
	if err != nil || born.After(now) {
		return "Date of birth is not a past day written YYYY-MM-DD."
	}
	return ""
}

// takeSelfie draws the picture and asks for the card: there is nothing to decide in between.
func (p *Partner) takeSelfie(w http.ResponseWriter, r *http.Request, v visit) {
	if v.stage == stageSelfie {
		picture, err := drawPortrait(v.person)
		if err != nil {
			p.broken(w, r, err)
			return
		}
		v = p.visits.update(v.id, func(v *visit) { v.portrait = picture })
	}
	p.makeCard(w, r, v)
}

// makeCard asks the Request Service for an issuance. It is also the way to a new code when
// the old one ran out or the wallet failed.
func (p *Partner) makeCard(w http.ResponseWriter, r *http.Request, v visit) {
	if v.portrait == nil || v.stage.final() || v.stage == stageDocument {
		seeVisit(w, r, v.id)
		return
	}
	request, err := p.askForCard(r.Context(), v)
	p.visits.update(v.id, func(v *visit) {
		if err != nil {
			v.stage, v.problem = stageFailed, err.Error()
			return
		}
		v.stage, v.problem, v.request = stageCard, "", request
	})
	seeVisit(w, r, v.id)
}

func (p *Partner) askForCard(ctx context.Context, v visit) (issuance, error) {
	state, err := p.randomText()
	if err != nil {
		return issuance{}, err
	}
	key, err := p.randomText()
	if err != nil {
		return issuance{}, err
	}
	body := issuanceRequest{
		Authority:    v.credential.Authority,
		Registration: registration{ClientName: p.cfg.Name},
		Callback: callbackTarget{
			URL:     p.cfg.PublicURL + callbackPath,
			State:   state,
			Headers: map[string]string{"api-key": key},
		},
		Type:     v.credential.Type,
		Manifest: v.credential.Manifest,
		Claims:   v.credential.Claims(v.person),
	}
	if v.credential.PhotoClaim != "" {
		body.Claims[v.credential.PhotoClaim] = photoClaim(v.portrait)
	}
	if p.cfg.PIN {
		digits, err := p.randomPIN()
		if err != nil {
			return issuance{}, err
		}
		body.PIN = &pin{Value: digits, Length: pinLength, Type: "numeric"}
	}
	made, err := p.service.createIssuance(ctx, v.credential.Account, body)
	if err != nil {
		return issuance{}, err
	}
	request := issuance{
		requestID: made.RequestID,
		state:     state,
		keyHash:   sha256.Sum256([]byte(key)),
		deepLink:  made.URL,
		expires:   time.Unix(made.Expiry, 0),
	}
	if body.PIN != nil {
		request.pin = body.PIN.Value
	}
	return request, nil
}

const pinLength = 4

func (p *Partner) randomPIN() (string, error) {
	// 64 bits taken modulo 10,000 are even enough for a number that is shown on a page.
	var b [8]byte
	if _, err := io.ReadFull(p.cfg.Rand, b[:]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	n := new(big.Int).SetBytes(b[:])
	return fmt.Sprintf("%0*d", pinLength, n.Mod(n, big.NewInt(10_000)).Int64()), nil
}

// abandon ends the visit without a card. The person can still go back to the relying party.
func (p *Partner) abandon(w http.ResponseWriter, r *http.Request, v visit) {
	v = p.visits.update(v.id, func(v *visit) { v.stage, v.problem = stageAbandoned, "" })
	p.log(r.Context(), "visit abandoned", v)
	seeVisit(w, r, v.id)
}
