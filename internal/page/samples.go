// SPDX-License-Identifier: Apache-2.0

package page

import "time"

// samples are views of every page in each of its shapes, for the check when a configuration loads. The values are of no one.
func (r *Renderer) samples() []view {
	meta := Meta{Site: "example.com", SupportCode: "sample", RetryAfter: 90, FormActions: []string{"https://idv.example"}}
	choice := Choice{
		Credential: "sample", Name: "Sample card", Issuer: "Sample issuer", Purpose: "To show how it looks.", FaceCheck: true,
		Partners: []Partner{{Name: "one", Note: "A note."}, {Name: "two"}},
	}
	unnoted := Choice{Credential: "unnoted", Partners: []Partner{{Name: "one"}}}
	plain := Choice{Credential: "plain"}
	at := time.Unix(0, 0)
	var views []view

	for _, p := range []Start{
		{},
		{Choices: []Choice{plain}},
		{Choices: []Choice{unnoted}},
		{Choices: []Choice{choice, plain}, Reason: "signed_out"},
		{Choices: []Choice{choice}, ReturnedFromPartner: true, SameDeviceOnly: true},
		{Choices: []Choice{choice}, ReturnedFromPartner: true, Partner: "One"},
		{Choices: []Choice{choice}, Partner: "One"},
	} {
		p.Meta, p.Token, p.Destination = meta, "sample", "example.com/sample"
		views = append(views, r.startView(p))
	}
	for _, state := range []string{StateCreated, StateRetrieved, StateVerified, StateRefused, StateExpired, StateCancelled} {
		for _, again := range []bool{false, true} {
			v, err := r.waitView(Wait{
				Meta: meta, Token: "sample", Transaction: "sample", State: state, DeepLink: sampleLink, SameDeviceOnly: again,
				ExpiresIn: time.Minute, Choice: choice, Others: []Choice{plain}, CanRenew: again, Destination: "example.com/sample",
			})
			if err != nil {
				panic("page: internal error: " + err.Error()) // the link below is one
			}
			views = append(views, v)
		}
	}
	for _, reason := range []string{"wrong_type", "revoked", "domain_mismatch"} {
		views = append(views, r.refusedView(Refused{Meta: meta, Reason: reason, Choice: choice, Others: []Choice{plain}, CanRetry: true}))
	}
	return append(views,
		r.onwardView(Onward{Meta: meta}),
		r.onwardView(Onward{Meta: meta, To: "https://idv.example/start?token=sample", Partner: "one"}),
		r.onwardView(Onward{Meta: meta, To: "https://idv.example/start", Partner: "one", Field: "token", Value: "sample"}),
		r.doneView(Done{Meta: meta}),
		r.logoutView(Logout{Meta: meta}),
		r.signedOutView(SignedOut{Meta: meta}),
		r.sessionView(Session{Meta: meta}),
		r.sessionView(Session{Meta: meta, Expires: at, IdleExpires: at, Cards: []SessionCard{
			{Name: "Sample card", Issuer: "Sample issuer", VerifiedAt: at, CardExpires: at, Claims: []Claim{{Name: "name", Value: "value"}}},
		}}),
		r.problemView(Problem{Meta: meta}),
	)
}

// sampleLink has the form of the service's links, and leads nowhere.
const sampleLink = "openid-vc://?request_uri=https://verifiedid.did.msidentity.com/v1.0/00000000-0000-0000-0000-000000000000/" +
	"verifiableCredentials/presentationRequests/00000000-0000-0000-0000-000000000000"
