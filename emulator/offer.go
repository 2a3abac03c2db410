// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
)

// Kind tells presentation offers from issuance offers.
type Kind string

// Kinds of [Offer].
const (
	// Presentation asks the person to share cards.
	Presentation Kind = "presentation"
	// Issuance offers the person a card.
	Issuance Kind = "issuance"
)

// Offer is a request that a wallet has opened and that its owner now decides about with [Offer.Share],
// [Offer.AcceptIssuance] or [Offer.Decline].
type Offer struct {
	// Kind says which of them fit.
	Kind Kind
	// VerifierName and Purpose are what the asking party says about itself.
	VerifierName, Purpose string
	// VerifierDID is who signed the request.
	VerifierDID string
	// Domain is the origin linked to VerifierDID, with a slash at the end.
	Domain string
	// DomainVerified says whether that origin confirms the link. If not, the real wallet warns on a full page.
	DomainVerified bool
	// Wanted lists the cards asked for; all are needed. Empty for issuance.
	Wanted []Wanted
	// Card is the card offered. Nil for presentations.
	Card *CardOffer
	// Expires is when the request can no longer be opened. An answer is taken two minutes longer.
	Expires time.Time

	wallet      *Wallet
	object      requestObject
	definitions []presentationDefinition
}

// Wanted is one card asked for.
type Wanted struct {
	// Type and Purpose as the verifier wrote them. The real wallet does not show this purpose.
	Type, Purpose string
	// Issuers are the accepted issuer DIDs. Empty: any.
	Issuers []string
	// Constraints are the conditions on claims, as text for people.
	Constraints []string
	// Matching are the cards of the wallet that fit, oldest first, expired ones last. Empty: "You'll have to add this
	// Verified ID first".
	Matching []Card
	// FaceCheck is nil when none is wanted.
	FaceCheck *FaceCheck

	descriptor string
}

// FaceCheck is what a verifier wants of the match between the live face and the photo on the card.
type FaceCheck struct {
	// PhotoClaim is the claim that holds the photo.
	PhotoClaim string
	// Threshold is the lowest score that passes, 50 to 100.
	Threshold int
}

// CardOffer is the card that an issuance request offers.
type CardOffer struct {
	// Type is the credential type, Issuer the issuer's DID.
	Type, Issuer string
	// Display is how it will look.
	Display Display
	// PINLength is how many digits the person has to enter. 0: no PIN.
	PINLength int

	manifest         string
	credentialIssuer string
}

// readCardOffer fetches the manifest that the request points to and checks that the asking party signed it.
func (o *Offer) readCardOffer(ctx context.Context) error {
	descriptor := o.definitions[0].InputDescriptors[0]
	if len(descriptor.Issuance) == 0 {
		return fmt.Errorf("%w: the card offer names no manifest", ErrBadRequest)
	}
	target, err := absoluteURL(descriptor.Issuance[0].Manifest)
	if err != nil || !o.wallet.e.cfg.AllowNonLoopback && !isLoopback(target.Hostname()) {
		return fmt.Errorf("%w: the manifest is not on this machine", ErrBadRequest)
	}
	body, err := o.wallet.get(ctx, target.String(), http.Header{"X-Ms-Sign-Contract": {"true"}})
	if err != nil {
		return fmt.Errorf("fetching the manifest: %w", err)
	}
	var signed signedManifest
	if err := jsonv2.Unmarshal(body, &signed); err != nil {
		return fmt.Errorf("%w: unreadable manifest", ErrBadRequest)
	}
	parsed, err := parseToken(signed.Token)
	if err != nil {
		return fmt.Errorf("%w: manifest: %w", ErrBadRequest, err)
	}
	var m manifestPayload
	if err := parsed.claims(&m); err != nil {
		return fmt.Errorf("%w: manifest: %w", ErrBadRequest, err)
	}
	if parsed.did() != m.Input.Issuer {
		return fmt.Errorf("%w: the manifest is signed by another DID than its issuer", ErrBadRequest)
	}
	document, err := o.wallet.resolve(ctx, m.Input.Issuer)
	if err != nil {
		return err
	}
	key, err := document.key(parsed.kid, assertionMethod)
	if err != nil {
		return fmt.Errorf("%w: manifest: %w", ErrBadRequest, err)
	}
	if err := parsed.verify(key); err != nil {
		return fmt.Errorf("%w: manifest: %w", ErrBadRequest, err)
	}
	o.Card = &CardOffer{
		Type: m.ID, Issuer: m.Iss, manifest: descriptor.Issuance[0].Manifest, credentialIssuer: m.Input.CredentialIssuer,
		Display: Display{
			Title: m.Display.Card.Title, IssuedBy: m.Display.Card.IssuedBy, Description: m.Display.Card.Description,
			BackgroundColor: m.Display.Card.BackgroundColor, TextColor: m.Display.Card.TextColor, Locale: m.Display.Locale,
			ConsentTitle: m.Display.Consent.Title, ConsentInstructions: m.Display.Consent.Instructions,
		},
	}
	if logo := m.Display.Card.Logo; logo != nil {
		o.Card.Display.LogoURL, o.Card.Display.LogoDescription = logo.URI, logo.Description
	}
	if o.object.PIN != nil {
		o.Card.PINLength = o.object.PIN.Length
	}
	return nil
}

// AcceptIssuance asks the issuer for the card offered, puts it into the wallet and reports that to the service, which
// calls the relying party back. pin is ignored when none is wanted.
//
// It fails with [ErrWrongPIN], after which it can be tried again, [ErrRefused], [ErrExpired] or [ErrNetwork]. When
// only the report fails, because the relying party did, the card is in the wallet and is returned with the error.
func (o *Offer) AcceptIssuance(ctx context.Context, pin string) (Card, error) {
	if o.Kind != Issuance {
		return Card{}, ErrWrongKind
	}
	w := o.wallet
	public := w.key.public().jwk()
	thumbprint, err := public.thumbprint()
	if err != nil {
		return Card{}, err
	}
	now := w.e.Now()
	asked := issueRequest{
		Iss: selfIssuedHint, Sub: thumbprint, SubJWK: public, DID: w.did, Aud: o.Card.credentialIssuer,
		Iat: now.Unix(), Exp: now.Add(time.Hour).Unix(), JTI: w.e.rand.uuid(), Contract: o.Card.manifest,
		Attestations: attestations{IDTokens: map[string]string{selfIssuedHint: o.object.IDTokenHint}},
	}
	if o.object.PIN != nil {
		asked.PIN = pinProof(o.object.PIN.Salt, pin)
	}
	token, err := signToken(w.key, w.kid, asked)
	if err != nil {
		return Card{}, err
	}
	status, body, _, err := w.post(ctx, o.Card.credentialIssuer, "text/plain", token)
	if err != nil {
		return Card{}, err
	}
	if status != http.StatusOK {
		return Card{}, issuanceProblem(status, body)
	}
	var issued issuedCard
	if err := jsonv2.Unmarshal(body, &issued); err != nil {
		return Card{}, fmt.Errorf("%w: unreadable answer", ErrRefused)
	}
	card, err := w.e.cardFromToken(issued.VC)
	if err != nil {
		return Card{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	w.Add(card)
	return card, o.complete(ctx, completionSuccessful, "")
}

// Decline turns the offer down. For a presentation nothing is sent, as the real wallet does: the relying party never
// learns of it. Declining a card is reported.
func (o *Offer) Decline(ctx context.Context) error {
	if o.Kind == Presentation {
		return nil
	}
	return o.complete(ctx, completionFailed, "user_canceled")
}

// complete reports how an issuance ended.
func (o *Offer) complete(ctx context.Context, code, details string) error {
	report, err := json.Marshal(completion{Code: code, State: o.object.State, Details: details})
	if err != nil {
		return fmt.Errorf("reporting the issuance: %w", err)
	}
	status, body, _, err := o.wallet.post(ctx, o.object.RedirectURI, "application/json", string(report))
	if err != nil {
		return err
	}
	if status < 200 || status > 299 {
		return fmt.Errorf("reporting the issuance: %w", issuanceProblem(status, body))
	}
	return nil
}

func (w *Wallet) post(ctx context.Context, target, contentType, body string) (status int, answer []byte, header http.Header, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	req.Header.Set("Content-Type", contentType)
	return w.do(req)
}

// issuanceProblem names what the service answered.
func issuanceProblem(status int, body []byte) error {
	var answer errorBody
	if err := jsonv2.Unmarshal(body, &answer); err != nil || answer.Error.InnerError == nil {
		return fmt.Errorf("%w: status %d", ErrRefused, status)
	}
	switch {
	case answer.Error.InnerError.Code == codeWrongPIN:
		return ErrWrongPIN
	case status == http.StatusNotFound:
		return ErrExpired
	default:
		return fmt.Errorf("%w: %s", ErrRefused, answer.Error.InnerError.Message)
	}
}
