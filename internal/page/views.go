// SPDX-License-Identifier: Apache-2.0

package page

import "time"

// Meta is what every page needs, whatever it says.
type Meta struct {
	// Path of our endpoints on this site, without a slash at its end. Default: /.verified-id.
	Base string
	// Path and query, below Base, where the visitor may begin anew. Default: Base + "/start". A path elsewhere is ignored.
	StartPath string
	// Name or host of the site the visitor wants to enter, as shown. Default: the brand, else "this site".
	Site string
	// What the visitor may read out to a help desk: the correlation vector or the error's id. Empty: none is shown.
	SupportCode string
	// Origins of the partners to which a form on this page may lead ("https://idv.example"). Browsers apply form-action to every
	// redirect that follows a form, so each origin the partner itself passes through belongs here too (TM-092). Anything
	// that is not a plain http(s) origin is left out of the header and logged.
	FormActions []string
	// Seconds after which it makes sense to come back: Retry-After header, and words on the page. 0: neither.
	RetryAfter int
	// Id of the window that an app has opened for this visit; its script tells the app that the window is there. Letters, digits
	// and hyphens. Empty: the visit has the person's own window.
	Popup string
}

// Choice is one credential the visitor may present.
type Choice struct {
	// The operator's name of the credential, posted back as "credential".
	Credential string
	// What people call the card. Default: Credential.
	Name string
	// Who issues it, in words for people. Empty: not said.
	Issuer string
	// Why it is asked for, one sentence. Empty: not said.
	Purpose string
	// The visitor's live face will be compared with the card's photo.
	FaceCheck bool
	// Not every card of this kind will do: the wallet is asked for one that says something particular, as of a role or a person.
	Particular bool
	// Where to get the card. Empty: the page does not ask whether the visitor has one.
	Partners []Partner
}

// Partner issues credentials to people who have none yet.
type Partner struct {
	// The operator's name of the partner, posted back as "partner"; also the key in [Config.PartnerLogos].
	Name string
	// What people call it. Default: Name.
	DisplayName string
	// One sentence about how long it takes there and what is needed. Empty: what is usual, if no other partner on the page has one.
	Note string
}

// Start is the first page: what is asked, why, and with which card. Rendering it asks nothing of anybody (TM-053).
//
// Its forms post to Base + "/request" (token, credential) and Base + "/idv" (token, credential, partner).
type Start struct {
	Meta
	// The page token, posted back as "token".
	Token string
	// Any one of these will do. Without any, the page says that there is nothing to present.
	Choices []Choice
	// Why the visitor is asked (again): a word of [StartReasons]. Empty: the first visit. An unknown word is a general sentence.
	Reason string
	// With the reason presentation_too_old: how old a presentation may be here, and how old the visitor's is. 0: not said.
	MaxAge, Age time.Duration
	// The visitor comes from a partner: "now present your new card". [Renderer.Returned] sets it.
	ReturnedFromPartner bool
	// Name, as shown, of the partner to whom this browser went for a card within the last hour. Empty: to none.
	Partner string
	// Only a wallet on this very device is accepted (TM-035).
	SameDeviceOnly bool
	// Host and path the visitor is going to, as shown. The only part of a request that a page repeats. Empty: not shown.
	Destination string
}

// States of a transaction, as [Wait] takes them and the status endpoints send them (TM-077: nothing else is sent).
const (
	StateCreated   = "created"
	StateRetrieved = "retrieved"
	StateVerified  = "verified"
	StateConsumed  = "consumed"
	StateFailed    = "failed"
	StateRefused   = "refused"
	StateExpired   = "expired"
	StateCancelled = "cancelled"
)

// Wait is the page with the QR code and the link, and what becomes of it. [Renderer.Wait] also takes the final states and
// shows what [Renderer.Refused] or [Renderer.Expired] would, so that the endpoint need not choose.
//
// Its form posts to Base + "/finish" (token, t); it listens to Base + "/events?t=…", else asks Base + "/status?t=…", else
// reloads Base + "/wait?t=…". The renewal posts to Base + "/request" (token, credential, t).
type Wait struct {
	Meta
	// The page token, posted back as "token".
	Token string
	// The look-up id of the transaction, posted back as "t". It opens nothing without the binding cookie.
	Transaction string
	// One of the State… words. An unknown one counts as failed.
	State string
	// The link for the wallet. It must start with openid-vc://?request_uri= or openid-vc:/? (TM-051, TM-099); with any other the
	// page is a problem page. Needed in StateCreated only.
	DeepLink string
	// No QR code is drawn (TM-035).
	SameDeviceOnly bool
	// How long the code, or after it was scanned the answer, is still accepted.
	ExpiresIn time.Duration
	// How often the page reloads itself without JavaScript. Default: 4. Limits: 3 to 30.
	RefreshSeconds int
	// The credential asked for.
	Choice Choice
	// Name, as shown, of the partner over whom the visit came. Empty: over none.
	Partner string
	// Any other credential that would do as well; the refusal page offers them.
	Others []Choice
	// A new code may be asked for on this visit (TM-038).
	CanRenew bool
	// Why it was refused or failed: a word of the verifier's closed list. Unknown or empty: a general sentence. Never a value.
	Reason string
	// Host and path the visitor is going to, as shown. Empty: not shown.
	Destination string
}

// Refused says in plain words why the presentation was not accepted and what to do next.
type Refused struct {
	Meta
	Token string
	// A word of the verifier's closed list, or of the gate's; see [RefusalReasons]. Unknown or empty: a general sentence.
	Reason string
	// The credential that was tried. With its Partners the page offers a new card where that helps.
	Choice Choice
	// Other credentials that would do.
	Others []Choice
	// Trying again is possible on this visit. False: the page only offers to start over.
	CanRetry bool
	// Host and path the visitor is going to, as shown. Empty: not shown.
	Destination string
}

// Expired says that the time for the code ran out; one click makes a new one as long as CanRenew holds.
type Expired struct {
	Meta
	Token       string
	Transaction string
	Choice      Choice
	// Another code may be asked for on this visit (TM-038). False: the page leads back to the start.
	CanRenew bool
	// The visitor, not the clock, ended it.
	Cancelled bool
	// Host and path the visitor is going to, as shown. Empty: not shown.
	Destination string
}

// Onward sends the browser on by a page instead of a redirect. Browsers apply form-action to all redirects after a form, also to
// those of the app or the partner the form leads to: an app that begins by redirecting to its own login elsewhere would never be
// reached, and the visitor would look at an unchanged page. From a page of its own the way is free.
type Onward struct {
	Meta
	// Path and query on this site, already checked (TM-081), or an address at one of FormActions. Anything else becomes "/".
	To string
	// Name of the partner it goes to, as shown. Empty: it goes to the site itself, and the page says that all went well.
	Partner string
	// Field and its value, if the partner wants a form. The page then sends it by itself where scripts run, else by its button, and
	// may send forms nowhere else (TM-092). Empty: a link.
	Field, Value string
}

// Done is the last page of a visit in a window that an app has opened. Its script tells the app and closes the window; without it
// the person does.
type Done struct {
	Meta
	// Path and query of the app, for those whose window does not close. Default: "/".
	To string
}

// Logout asks for confirmation before a session ends (TM-155). Its form posts to Base + "/logout" (token).
type Logout struct {
	Meta
	Token string
	// Path and query to go back to without signing out. Default: "/".
	Back string
}

// SignedOut confirms that the session is over.
type SignedOut struct {
	Meta
	// Path and query where the visitor may sign in again. Default: "/".
	Again string
}

// Session answers "who am I here?". Its form posts to Base + "/logout" (token).
type Session struct {
	Meta
	Token string
	// What was presented in this session, newest first.
	Cards []SessionCard
	// When the session ends at the latest, and when it ends without another request. Zero: not said.
	Expires, IdleExpires time.Time
}

// SessionCard is one presentation of a session.
type SessionCard struct {
	// What people call the card, and who issued it.
	Name, Issuer string
	VerifiedAt   time.Time
	// When the card itself ends. Zero: not said.
	CardExpires time.Time
	// The live face was compared with the photo.
	FaceChecked bool
	// Presented from another device than this browser's.
	CrossDevice bool
	// The kept claims, and nothing else.
	Claims []Claim
}

// Claim is one kept claim of a session.
type Claim struct{ Name, Value string }

// Kinds of [Problem].
const (
	ProblemUnavailable = "unavailable" // the Request Service does not answer
	ProblemBusy        = "busy"        // the Request Service asks to come later
	ProblemLimited     = "limited"     // this visitor has started too often
	ProblemBudget      = "budget"      // all Face Checks of the day are spent, or spoken for
	ProblemStore       = "store"       // our store does not answer
	ProblemLogout      = "logout"      // the same, when a visitor logs out: only the browser is signed out
	ProblemNotFound    = "not_found"
	ProblemBadRequest  = "bad_request"
	ProblemForbidden   = "forbidden"   // the request came from another site
	ProblemExpired     = "expired"     // the page was open too long, or belongs to another browser
	ProblemCookies     = "cookies"     // the browser keeps no cookies
	ProblemPartner     = "partner"     // the partner cannot be reached from here
	ProblemNotAllowed  = "not_allowed" // the method is none of this endpoint's
	ProblemInternal    = "internal"    // we failed
	ProblemNotSent     = "not_sent"    // a form for the app was held back
	ProblemUnbound     = "unbound"     // nobody has said whose card is wanted
	ProblemNetwork     = "network"     // nothing can be started from where the visitor is
)

// Problem is an honest page for what went wrong on our side, or with the request. The visitor's session, if any, is not
// touched by it, and the page says so where that matters.
type Problem struct {
	Meta
	// The HTTP status. Default: the usual one of Kind.
	Status int
	// One of the Problem… words. Unknown or empty: internal.
	Kind string
}
