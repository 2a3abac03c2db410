// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// problem is the body of a 401 for everything that is no page load (RFC 9457). Apps are written against it, by
// docs/single-page-apps.md: members and words may be added, and never change their meaning. It holds what the start page
// shows to everybody, and nothing of the request.
type problem struct {
	// Type is the kind of problem: [problemPrefix] and the name of a problemKind.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Reason is the one word of the gate, finer than Type. The set is closed.
	Reason string `json:"reason"`
	// Start is the path of the page where a person mends it. Missing: showing a card does not help.
	Start string `json:"start,omitempty"`
	// ReturnTo is where that page leads in the end. An app that appends &return_to=<path> or &popup=<id> to Start chooses.
	ReturnTo string `json:"return_to,omitempty"`
	// MaxAge is how old a presentation may be here, in seconds. Missing: as old as the session.
	MaxAge int64 `json:"max_age,omitempty"`
	// Credentials are the cards, any one of which will do.
	Credentials []problemCredential `json:"credentials,omitempty"`
}

type problemCredential struct {
	Name        string `json:"name"`
	DisplayName string `json:"display_name"`
}

// problemPrefix begins the types of our problems; they are identifiers and lead nowhere.
const problemPrefix = "urn:caddy-verified-id:"

// problemKind is what an app can tell apart without knowing every reason.
type problemKind struct {
	name, title, detail string
	// stepUp: there is a session, and it is not enough here.
	stepUp bool
}

var (
	verificationRequired = problemKind{
		"verification-required", "A Verified ID is required",
		"Nobody has shown a card in this browser, or the session has ended.", false,
	}
	loginRequired = problemKind{
		"login-required", "Another login comes first",
		"The card is compared with a login that this request does not bring. Log in there first.", false,
	}
)

var otherNetwork = problemKind{
	"other-network", "Not from this network",
	"A card may be shown here only from certain networks, and this request comes from none of them.", false,
}

// problemKinds are the kinds of reasons other than the one of a stranger.
var problemKinds = map[verifier.Reason]problemKind{
	bindMissing:    loginRequired,
	outsideNetwork: otherNetwork,
	bindMismatch: {
		"wrong-person", "The card is another person's",
		"The card in this session belongs to somebody else than the one who is logged in.", true,
	},
	verifier.ReasonPresentationTooOld: tooOld,
	verifier.ReasonPresentationFuture: tooOld,
	verifier.ReasonFaceCheckLow:       tooWeak,
	verifier.ReasonFaceCheckMissing:   tooWeak,
	verifier.ReasonCredentialExpired:  cardExpired,
	verifier.ReasonCredentialTooOld:   cardExpired,
	verifier.ReasonCredentialUndated:  cardExpired,
	verifier.ReasonRevoked:            cardExpired,
	verifier.ReasonOtherCredential:    wrongCard,
	verifier.ReasonWrongType:          wrongCard,
	verifier.ReasonWrongIssuer:        wrongCard,
	verifier.ReasonRequiredClaim:      wrongCard,
	verifier.ReasonConstraint:         wrongCard,
	verifier.ReasonPolicyChanged: {
		"policy-changed", "The card has to be shown again", "The rules of this site have changed since the card was shown.", true,
	},
}

var (
	tooOld = problemKind{
		"too-old", "The card has to be shown again", "The card was shown too long ago for this.", true,
	}
	tooWeak = problemKind{
		"too-weak", "A stricter face check is required", "The face check in this session is not enough for this.", true,
	}
	cardExpired = problemKind{
		"card-expired", "A valid card is required", "The card in this session has expired, is too old, or was revoked.", true,
	}
	wrongCard = problemKind{
		"wrong-card", "Another card is required", "The card in this session does not satisfy what is asked for here.", true,
	}
)

func kindOf(refusal verifier.Reason) problemKind {
	if kind, ok := problemKinds[refusal]; ok {
		return kind
	}
	return verificationRequired
}

// problem describes why this gate refuses, and what would help.
func (g *Gate) problem(refusal verifier.Reason) problem {
	kind := kindOf(refusal)
	p := problem{
		Type: problemPrefix + kind.name, Title: kind.title, Status: http.StatusUnauthorized, Detail: kind.detail, Reason: string(refusal),
		MaxAge: int64(time.Duration(g.MaxAge) / time.Second),
	}
	if refusal == bindMissing || refusal == outsideNetwork { // who logs in there first, or comes from elsewhere, can then begin
		return p
	}
	p.ReturnTo = "/"
	p.Start = g.startURL(p.ReturnTo, refusal)
	p.Credentials = make([]problemCredential, 0, len(g.wants))
	for _, w := range g.wants {
		p.Credentials = append(p.Credentials, problemCredential{w.credential.name, w.credential.shownName()})
	}
	return p
}

// authenticate is the WWW-Authenticate field, which every 401 has; its realm is the site. Of a session that is not enough here it says so in the words
// of RFC 9470; the scheme is our own, because the answer is no token that a client could send.
func (g *Gate) authenticate(refusal verifier.Reason) string {
	field := `VerifiedID realm="` + g.site.origin.url + `"`
	if kindOf(refusal).stepUp {
		field += `, error="insufficient_user_authentication"`
	}
	if g.MaxAge > 0 {
		field += `, max_age="` + strconv.FormatInt(int64(time.Duration(g.MaxAge)/time.Second), 10) + `"`
	}
	return field
}
