// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"context"
	"time"
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

// Offer is a request that a wallet has opened and that its owner now decides about.
type Offer struct {
	Kind Kind
	// VerifierName and Purpose are what the asking party says about itself.
	VerifierName, Purpose string
	// VerifierDID is who signed the request.
	VerifierDID string
	// Domain is the origin linked to VerifierDID; DomainVerified whether the link holds in both directions.
	Domain         string
	DomainVerified bool
	// Wanted lists the cards asked for; all are needed. Empty for issuance.
	Wanted []Wanted
	// Card is the card offered, without values. Nil for presentations.
	Card *CardOffer
	// Expires is when the request can no longer be opened.
	Expires time.Time
}

// Wanted is one card asked for.
type Wanted struct {
	// Type and Purpose as the verifier wrote them.
	Type, Purpose string
	// Issuers are the accepted issuer DIDs. Empty: any.
	Issuers []string
	// Constraints are the conditions on claims, as text for people.
	Constraints []string
	// Matching are the cards of the wallet that fit.
	Matching []Card
	// FaceCheck is nil when none is wanted.
	FaceCheck *FaceCheck
}

// FaceCheck is what a verifier wants of the match between the live face and the photo on the card.
type FaceCheck struct {
	// PhotoClaim is the claim that holds the photo.
	PhotoClaim string
	// Threshold is the lowest score that passes, 50 to 100.
	Threshold int
}

// CardOffer is the card an issuance request offers.
type CardOffer struct {
	// Type is the credential type, Issuer the issuer's DID.
	Type, Issuer string
	// Display is how it will look.
	Display Display
	// Claims are the labels of its claims.
	Claims []string
	// PINLength is how many digits the person has to enter. 0: no PIN.
	PINLength int
}

// Misbehaviour makes a wallet do what a broken or hostile one would. The zero value behaves.
type Misbehaviour string

// ShareOptions is what the person, or a hostile wallet, does with a presentation request.
type ShareOptions struct {
	// CardIDs picks the cards. Default: for each [Wanted] its first matching card.
	CardIDs []string
	// Force shares the cards of CardIDs even if they do not match.
	Force bool
	// FaceScore is the match confidence the Face Check gives, 0 to 100. Zero means [DefaultFaceScore].
	FaceScore float64
	// PhotoQuality is what the Face Check says of the photo. Default: HIGH.
	PhotoQuality string
	// Misbehave makes the wallet break a rule.
	Misbehave Misbehaviour
}

// DefaultFaceScore is the Face Check score of a person who looks like the photo.
const DefaultFaceScore = 91.482703

// Outcome is what the person sees after sharing.
type Outcome struct {
	// Accepted says that the service verified the presentation and the relying party took the callback.
	Accepted bool
	// Status is the service's HTTP status to the wallet.
	Status int
	// Code and Message are the service's inner error, empty on success.
	Code, Message string
	// RelyingPartyStatus is what the relying party answered to the callback. 0: it gave no answer, or none was sent.
	RelyingPartyStatus int
}

// Share answers a presentation request.
func (o *Offer) Share(ctx context.Context, opts ShareOptions) (Outcome, error) {
	return Outcome{}, errNotBuilt
}

// AcceptIssuance adds the card offered to the wallet.
func (o *Offer) AcceptIssuance(ctx context.Context, pin string) (Card, error) {
	return Card{}, errNotBuilt
}

// Decline turns the offer down. For a presentation nothing is sent, as the real wallet does.
func (o *Offer) Decline(ctx context.Context) error { return errNotBuilt }
