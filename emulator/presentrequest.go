// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"slices"
	"strings"
)

// Bounds of matchConfidenceThreshold and its default, from the Face Check documentation.
const (
	minThreshold     = 50
	maxThreshold     = 100
	defaultThreshold = 70
)

// presentationRequest is a createPresentationRequest that passed.
type presentationRequest struct {
	authority      *authority
	registration   registration
	callback       callbackTarget
	includeQRCode  bool
	includeReceipt bool
	credentials    []requestedCredential
}

// requestedCredential is one card asked for.
type requestedCredential struct {
	credentialType, purpose string
	acceptedIssuers         []string
	allowRevoked            bool
	validateLinkedDomain    bool
	faceCheck               *FaceCheck
	constraints             []constraint
}

// constraint is one condition on a claim; exactly one operator is set.
type constraint struct {
	claim      string
	values     []string
	contains   string
	startsWith string
}

// readPresentationRequest judges a createPresentationRequest body. Of several problems it answers the first.
func (e *Emulator) readPresentationRequest(f fields, tenant string) (*presentationRequest, error) {
	p := &presentationRequest{
		authority:      e.readAuthority(f, tenant),
		includeQRCode:  f.boolean("includeQRCode"),
		includeReceipt: f.boolean("includeReceipt"),
		registration:   readRegistration(f),
		callback:       e.readCallback(f),
	}
	// The whole object is looked through first: a body of the preview has no requestedCredentials, and to say that
	// would hide the reason.
	requested := f.objects("requestedCredentials")
	f.done()
	if len(requested) == 0 {
		f.missing("requestedCredentials")
	}
	for _, in := range requested {
		p.credentials = append(p.credentials, e.readRequestedCredential(in))
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	wantsFaceCheck := func(c requestedCredential) bool { return c.faceCheck != nil }
	if p.authority.NoFaceCheck && slices.ContainsFunc(p.credentials, wantsFaceCheck) {
		return nil, badField("authority", "Premium features cannot be used until billing is enabled by the admin. See https://aka.ms/fcbilling")
	}
	return p, nil
}

func (e *Emulator) readRequestedCredential(in fields) requestedCredential {
	c := requestedCredential{
		credentialType: in.needText("type"), purpose: in.text("purpose"), acceptedIssuers: in.texts("acceptedIssuers"),
	}
	for _, issuer := range c.acceptedIssuers {
		if !strings.HasPrefix(issuer, "did:") {
			in.fail("acceptedIssuers", "The request contains `%s`, but it is not a list of DIDs.", in.path+"acceptedIssuers")
		} else if _, err := didWebHost(issuer); err != nil {
			// A real issuer here means that somebody has pointed a production configuration at the emulator.
			in.fail("acceptedIssuers", "This is an emulator, which refuses DIDs that could be real: %s", err)
		}
	}
	if configuration, ok := in.object("configuration"); ok {
		if validation, ok := configuration.object("validation"); ok {
			c.allowRevoked = validation.boolean("allowRevoked")
			c.validateLinkedDomain = validation.boolean("validateLinkedDomain")
			c.faceCheck = readFaceCheck(validation)
			validation.done()
		}
		configuration.done()
	}
	for _, one := range in.objects("constraints") {
		c.constraints = append(c.constraints, readConstraint(one))
	}
	in.done()
	return c
}

func readFaceCheck(validation fields) *FaceCheck {
	in, ok := validation.object("faceCheck")
	if !ok {
		return nil
	}
	check := &FaceCheck{PhotoClaim: in.needText("sourcePhotoClaimName"), Threshold: defaultThreshold}
	const name = "matchConfidenceThreshold"
	if threshold, present := in.integer(name); present {
		check.Threshold = threshold
		if threshold < minThreshold || threshold > maxThreshold {
			in.fail(name, "The request contains `%s`, but it is not between %d and %d.", in.path+name, minThreshold, maxThreshold)
		}
	}
	in.done()
	return check
}

func readConstraint(in fields) constraint {
	c := constraint{
		claim: in.needText("claimName"), values: in.texts("values"),
		contains: in.text("contains"), startsWith: in.text("startsWith"),
	}
	operators := 0
	for _, set := range []bool{len(c.values) > 0, c.contains != "", c.startsWith != ""} {
		if set {
			operators++
		}
	}
	if operators != 1 {
		in.fail("", "The request contains a constraint with %d operators. Exactly one of values, contains and startsWith must be given.", operators)
	}
	in.done()
	return c
}

// met says whether a claim fulfils the constraint. Case is ignored, as the service documents.
func (c constraint) met(claims map[string]string) bool {
	value, ok := claims[c.claim]
	if !ok {
		return false
	}
	lower := strings.ToLower(value)
	switch {
	case len(c.values) > 0:
		return slices.ContainsFunc(c.values, func(want string) bool { return strings.EqualFold(want, value) })
	case c.contains != "":
		return strings.Contains(lower, strings.ToLower(c.contains))
	default:
		return strings.HasPrefix(lower, strings.ToLower(c.startsWith))
	}
}
