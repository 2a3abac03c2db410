// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
)

// DefaultFaceScore is the Face Check score of a person who looks like the photo.
const DefaultFaceScore = 91.482703

// ShareOptions is what the person, or a hostile wallet, does with a presentation request. The zero value shares the
// first matching cards and passes the Face Check.
type ShareOptions struct {
	// CardIDs picks one card for each entry of Offer.Wanted, in that order. Default: its first matching card.
	CardIDs []string
	// Force shares the cards of CardIDs even if they do not match.
	Force bool
	// FaceScore is the match confidence that the Face Check gives, above 0 up to 100. 0: [DefaultFaceScore].
	FaceScore float64
	// PhotoQuality is what the Face Check says of the photo. Default: HIGH.
	PhotoQuality string
	// Misbehave makes the wallet break a rule.
	Misbehave Misbehaviour
}

// Outcome is what the person sees after sharing.
type Outcome struct {
	// Accepted says that the service verified the presentation and the relying party took the callback.
	Accepted bool
	// Status is the service's HTTP status to the wallet. 500 means that the relying party failed.
	Status int
	// Code and Message are the service's inner error; empty on success and when the relying party failed.
	Code, Message string
	// RelyingPartyStatus is what the relying party answered to the callback. 0: no answer, or none was sent.
	RelyingPartyStatus int
}

// Share answers a presentation request. The service verifies the answer, calls the relying party back and only then
// answers the wallet. An answer the service refuses is no error; [Outcome] tells it.
//
// It fails with [ErrNoMatchingCard], [ErrUnknownCard], [ErrNetwork] or [ErrWrongKind], and nothing was sent but
// perhaps in the case of ErrNetwork.
func (o *Offer) Share(ctx context.Context, opts ShareOptions) (Outcome, error) {
	if o.Kind != Presentation {
		return Outcome{}, ErrWrongKind
	}
	cards, err := o.choose(opts)
	if err != nil {
		return Outcome{}, err
	}
	form, err := o.answer(cards, opts)
	if err != nil {
		return Outcome{}, err
	}
	status, body, header, err := o.wallet.post(ctx, o.object.RedirectURI, "application/x-www-form-urlencoded", form.Encode())
	if err != nil {
		return Outcome{}, err
	}
	outcome := Outcome{Accepted: status >= 200 && status < 300, Status: status}
	if n, err := strconv.Atoi(header.Get(CallbackStatusHeader)); err == nil {
		outcome.RelyingPartyStatus = n
	}
	var answer errorBody
	if err := jsonv2.Unmarshal(body, &answer); err == nil && answer.Error.InnerError != nil {
		outcome.Code, outcome.Message = answer.Error.InnerError.Code, answer.Error.InnerError.Message
	}
	return outcome, nil
}

// choose picks a card for each one wanted.
func (o *Offer) choose(opts ShareOptions) ([]Card, error) {
	cards := make([]Card, len(o.Wanted))
	for i, wanted := range o.Wanted {
		if i >= len(opts.CardIDs) {
			if len(wanted.Matching) == 0 {
				return nil, fmt.Errorf("%w: %s", ErrNoMatchingCard, wanted.Type)
			}
			cards[i] = wanted.Matching[0]
			continue
		}
		card, ok := o.wallet.Card(opts.CardIDs[i])
		if !ok {
			return nil, ErrUnknownCard
		}
		matches := slices.ContainsFunc(wanted.Matching, func(c Card) bool { return c.ID == card.ID })
		if !matches && !opts.Force {
			return nil, fmt.Errorf("%w: the card chosen is not what is asked for", ErrNoMatchingCard)
		}
		cards[i] = card
	}
	return cards, nil
}

// answer makes the form that the wallet posts.
func (o *Offer) answer(cards []Card, opts ShareOptions) (url.Values, error) {
	p := o.plan(opts.Misbehave)
	tokens := make([]string, len(cards))
	for i, card := range cards {
		tokens[i] = card.Token
	}
	presentations := [][]string{p.spoilCards(tokens)}
	liveness, err := o.livenessFor(cards, opts)
	if err != nil {
		return nil, err
	}
	if len(liveness) > 0 && opts.Misbehave != OmitFaceCheck {
		presentations = append(presentations, liveness)
	}
	form := url.Values{"state": {o.object.State}}
	for _, credentials := range presentations {
		token, err := p.signVP(credentials)
		if err != nil {
			return nil, err
		}
		form.Add("vp_token", token)
	}
	id, err := p.signID(o.submissions())
	if err != nil {
		return nil, err
	}
	form.Set("id_token", id)
	return form, nil
}

// livenessFor runs the Face Checks that are wanted.
func (o *Offer) livenessFor(cards []Card, opts ShareOptions) ([]string, error) {
	score, quality := opts.FaceScore, opts.PhotoQuality
	if score == 0 {
		score = DefaultFaceScore
	}
	if quality == "" {
		quality = "HIGH"
	}
	var tokens []string
	for i, card := range cards {
		wanted := o.Wanted[i]
		if wanted.FaceCheck == nil {
			continue
		}
		token, err := o.wallet.e.liveness(livenessClaims{
			holder: o.wallet.did, nonce: o.object.Nonce, descriptor: wanted.descriptor,
			photoClaim: wanted.FaceCheck.PhotoClaim, cardID: card.ID, score: score, quality: quality,
		})
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

// submissions says which presentation answers which definition, in the spelling of the platform.
func (o *Offer) submissions() any {
	many := make([]submissionHolder, len(o.definitions))
	for i, definition := range o.definitions {
		outer, inner := "$", "$"
		switch {
		case o.wallet.cfg.Platform == IOS:
			outer = fmt.Sprintf("$[%d]", i)
			inner = outer
		case len(o.definitions) > 1:
			outer = fmt.Sprintf("$[%d]", i)
		}
		s := submission{ID: o.wallet.e.rand.uuid(), DefinitionID: definition.ID}
		for j, d := range definition.InputDescriptors {
			s.DescriptorMap = append(s.DescriptorMap, descriptorPath{
				ID: d.ID, Format: "jwt_vp", Path: outer,
				Nested: &descriptorPath{ID: d.ID, Format: "jwt_vc", Path: fmt.Sprintf("%s.verifiableCredential[%d]", inner, j)},
			})
		}
		many[i] = submissionHolder{Submission: s}
	}
	if len(many) == 1 {
		return many[0]
	}
	return many
}

// lifetimes returns how long id_token and vp_token are valid on the wallet's platform.
func (w *Wallet) lifetimes() (id, vp time.Duration) {
	if w.cfg.Platform == IOS {
		return 300 * time.Second, 3000 * time.Second
	}
	return 3600 * time.Second, 3600 * time.Second
}
