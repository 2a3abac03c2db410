// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// Credential describes one Verified ID that gates may ask for.
type Credential struct {
	// Credential type as in the issuer's contract, for example VerifiedEmployee. Compared whole and case-sensitively.
	// Required, unless the request file or the manifest has it, or every partner in IDV has a preset with the same published type, which is the default then.
	Type string `json:"type,omitempty"`

	// DIDs of the issuers whose credentials are accepted, compared byte for byte. Required, unless the request file
	// or the manifest has them: the service takes an empty list for "any issuer in the world", so an empty list is refused.
	Issuers []string `json:"issuers,omitempty"`

	// File with the body of a presentation request, as the Entra admin center lets one download it: type, accepted issuers, purpose,
	// constraints and checks are taken from it, its callback is replaced by ours. What both it and the config say must be the
	// same. Read when the config is loaded; placeholders are supported. Default: none.
	RequestFile string `json:"request_file,omitempty"`

	// Manifest of the issuer's contract, from which type and issuer are taken; what type and issuer say as well must be the same.
	// Placeholders are supported. Default: none.
	//
	// An https address is fetched after the load, never during it, once: what it says is pinned in Caddy's storage, for all nodes, and only the
	// command `caddy verified-id pin` replaces it. Its signature must be by a key of the issuer's did:web document, unless issuer is written as
	// well. Until it is pinned nobody passes. It is looked at again twice a day; while it names another type or issuer, nobody can begin, and
	// sessions go on.
	//
	// A file is read when the config is loaded, as `caddy verified-id manifest` saves it. Its signature is verified when it is saved.
	Manifest string `json:"manifest,omitempty"`

	// Face Check, on unless switched off in writing. Default: the claim photo with threshold 70.
	FaceCheck *FaceCheck `json:"face_check,omitempty"`

	// Hosts one of which must be the issuer's verified linked domain. Default: any verified domain of the issuer.
	LinkedDomains []string `json:"linked_domains,omitempty"`

	// Conditions on claims, sent to the wallet so that it offers fitting cards only, and checked again by us.
	Constraints []Constraint `json:"constraints,omitempty"`

	// Claims kept in the session besides those that gates use by themselves. All others are dropped while reading.
	Keep []string `json:"keep,omitempty"`

	// Claim that, with the issuer, says who the holder is: `{subject}` is then a keyed hash of the issuer, the claim's name and
	// its exact value, so that a person with a new wallet stays the same for the app. Choose one that the issuer gives to one
	// person only and never again, such as a personnel number; a presentation without it is refused. Credentials presented
	// one after the other make one session only if their subjects are the same. Default: none, the subject follows the
	// wallet's DID.
	SubjectClaim string `json:"subject_claim,omitempty"`

	// How old the credential may be, counted from its issuance. Default: no limit besides its own expiry.
	MaxCredentialAge caddy.Duration `json:"max_credential_age,omitempty"`

	// Why this credential is asked for, shown by Authenticator. Default: the app's purpose. At most 200 characters.
	Purpose string `json:"purpose,omitempty"`

	// What the visitor's pages call this credential. Default: its type in words.
	DisplayName string `json:"display_name,omitempty"`

	// Names of the partners that issue this credential, in the order in which visitors see them.
	IDV []string `json:"idv,omitempty"`

	// The issuer publishes no revocation status, so a missing one is accepted. REVOKED never is.
	NoStatus bool `json:"no_status,omitempty"`

	// Accept revoked credentials. Logged as a warning at each load.
	InsecureAllowRevoked bool `json:"insecure_allow_revoked,omitempty"`

	// Do not ask the service to verify the issuer's linked domain. Logged as a warning at each load.
	InsecureSkipLinkedDomain bool `json:"insecure_skip_linked_domain,omitempty"`
}

// FaceCheck is the demand that the holder's live face matches the photo in the credential.
type FaceCheck struct {
	// Switches Face Check off. A stolen unlocked phone then opens the site.
	Off bool `json:"off,omitempty"`

	// Claim that holds the photo. Default: photo; if a partner of the credential has a preset, the one published for the
	// credential's type, and required where none is.
	PhotoClaim string `json:"photo_claim,omitempty"`

	// Lowest confidence score accepted, 50 to 100. Default: 70.
	Threshold int `json:"threshold,omitempty"`
}

// Constraint is one condition on a claim. Exactly one of Is, Contains and StartsWith is given. Case does not matter.
type Constraint struct {
	// Claim that is compared, by its exact name.
	Claim string `json:"claim,omitempty"`

	// Values, one of which it must be.
	Is []string `json:"is,omitempty"`

	// Text that must be in it.
	Contains string `json:"contains,omitempty"`

	// Text that it must begin with.
	StartsWith string `json:"starts_with,omitempty"`
}

const (
	defaultPhotoClaim         = "photo"
	defaultFaceCheckThreshold = 70
	minFaceCheckThreshold     = 50
	maxFaceCheckThreshold     = 100
)

// credential is a Credential with defaults applied and checked, and what gates add to it.
type credential struct {
	name        string
	displayName string
	base        verifier.Requirement
	partners    []string
	keep        map[string]bool
	pin         *pinnedManifest // nil unless type and issuer are learned from a manifest; base then has no issuers
}

// provisionCredentials checks all credentials.
func (a *App) provisionCredentials() error {
	if len(a.Credentials) == 0 {
		return fmt.Errorf("no credential is defined; add: credential <name> { type <type>; issuer <did> }")
	}
	a.credentials = make(map[string]*credential, len(a.Credentials))
	for name, c := range a.Credentials {
		complete, err := a.withRequestFile(c)
		if err == nil {
			complete, err = a.withManifest(complete)
		}
		if err != nil {
			return fmt.Errorf("credential %s: %w", name, err)
		}
		a.Credentials[name] = complete
		build := a.buildCredential
		if complete != nil && isManifestURL(complete.Manifest) {
			build = a.buildLearning
		}
		built, err := build(name, complete)
		if err != nil && c != nil && c.RequestFile != "" {
			return fmt.Errorf("credential %s with its request_file: %w", name, err)
		}
		if err != nil {
			return fmt.Errorf("credential %s: %w", name, err)
		}
		a.credentials[name] = built
	}
	return nil
}

func (a *App) buildCredential(name string, c *Credential) (*credential, error) {
	if c == nil {
		return nil, fmt.Errorf("it is empty; give at least type and issuer")
	}
	if !validName(name) {
		return nil, fmt.Errorf("the name may have only letters, digits, - and _, at most 32")
	}
	kind, err := a.typeOf(c)
	if err != nil {
		return nil, err
	}
	if err := checkType(kind); err != nil {
		return nil, err
	}
	if len(c.Issuers) == 0 {
		return nil, a.issuerMissing(c)
	}
	for _, did := range c.Issuers {
		if !validDID(did) {
			return nil, optionError("issuer", did, "must be a DID, for example did:web:verifiedid.contoso.com")
		}
	}
	if err := checkText("purpose", c.Purpose, 0, 200); err != nil {
		return nil, err
	}
	if err := checkText("display_name", c.DisplayName, 0, 100); err != nil {
		return nil, err
	}
	if err := literal("subject_claim", c.SubjectClaim); err != nil {
		return nil, err
	}
	if c.MaxCredentialAge < 0 {
		return nil, optionError("max_credential_age", time.Duration(c.MaxCredentialAge).String(), "must not be negative")
	}
	for _, host := range c.LinkedDomains {
		if err := checkLinkedDomain(host); err != nil {
			return nil, err
		}
	}
	if len(c.LinkedDomains) > 0 && c.InsecureSkipLinkedDomain {
		return nil, fmt.Errorf("linked_domain and insecure_skip_linked_domain contradict each other; remove one")
	}
	face, err := a.faceCheckOf(c)
	if err != nil {
		return nil, err
	}
	if err := c.checkPhotoUnread(face); err != nil {
		return nil, err
	}
	constraints, err := buildConstraints(c.Constraints)
	if err != nil {
		return nil, err
	}
	purpose := c.Purpose
	if purpose == "" {
		purpose = a.Purpose
	}
	displayName := c.DisplayName
	if displayName == "" {
		displayName = words(kind)
	}
	built := &credential{name: name, displayName: displayName, partners: c.IDV, keep: map[string]bool{}}
	for _, claim := range c.Keep {
		built.keep[claim] = true
	}
	built.base = verifier.Requirement{
		Credential: name, Type: kind, AcceptedIssuers: slices.Clone(c.Issuers), FaceCheck: face,
		SkipLinkedDomainCheck: c.InsecureSkipLinkedDomain, LinkedDomains: lowered(c.LinkedDomains),
		AllowRevoked: c.InsecureAllowRevoked, AllowMissingStatus: c.NoStatus,
		SubjectClaim: c.SubjectClaim, MaxCredentialAge: time.Duration(c.MaxCredentialAge), Constraints: constraints, Purpose: purpose,
	}
	complete := built.base
	complete.Keep = c.Keep
	return built, complete.Validate()
}

// checkPhotoUnread refuses to read the photo: it is compared with the live face, by the service, and never leaves it (TM-017).
func (c *Credential) checkPhotoUnread(face *verifier.FaceCheckRequirement) error {
	if face == nil {
		return nil
	}
	photo := face.SourcePhotoClaim
	if slices.Contains(c.Keep, photo) {
		return fmt.Errorf("keep %s: the photo claim is only compared with the live face and never kept; remove it", photo)
	}
	if c.SubjectClaim == photo {
		return fmt.Errorf("subject_claim %s: the photo claim is only compared with the live face and never read; name another", photo)
	}
	for _, constraint := range c.Constraints {
		if constraint.Claim == photo {
			return fmt.Errorf("constraint %s: the photo claim is only compared with the live face and never read; remove it", photo)
		}
	}
	return nil
}

func checkType(value string) error {
	if value == "VerifiableCredential" {
		return optionError("type", value, "is the type of every credential; write the one in the issuer's contract, for example VerifiedEmployee")
	}
	if strings.ContainsAny(value, " \t\r\n") {
		return optionError("type", value, "must be the one type name in the issuer's contract, for example VerifiedEmployee")
	}
	return literal("type", value)
}

func checkLinkedDomain(host string) error {
	if !validHost(host) {
		return optionError("linked_domain", host, "must be a host name such as www.contoso.com, without scheme or path")
	}
	return nil
}

// faceCheckOf applies the defaults; nothing written means Face Check with the defaults.
func (a *App) faceCheckOf(c *Credential) (*verifier.FaceCheckRequirement, error) {
	f := c.FaceCheck
	if f == nil {
		f = &FaceCheck{}
	}
	if f.Off {
		if f.PhotoClaim != "" || f.Threshold != 0 {
			return nil, fmt.Errorf("face_check: off takes no photo claim and no threshold")
		}
		return nil, nil
	}
	out := &verifier.FaceCheckRequirement{SourcePhotoClaim: f.PhotoClaim, Threshold: f.Threshold}
	if out.SourcePhotoClaim == "" {
		var err error
		if out.SourcePhotoClaim, err = a.photoClaimOf(c); err != nil {
			return nil, err
		}
	}
	if out.Threshold == 0 {
		out.Threshold = defaultFaceCheckThreshold
	}
	return out, checkThreshold(out.Threshold)
}

func checkThreshold(threshold int) error {
	if threshold < minFaceCheckThreshold || threshold > maxFaceCheckThreshold {
		return optionError("face_check", fmt.Sprint(threshold), "the threshold must be a whole number from 50 to 100")
	}
	return nil
}

func buildConstraints(in []Constraint) ([]verifier.Constraint, error) {
	out := make([]verifier.Constraint, 0, len(in))
	for _, c := range in {
		given := 0
		for _, set := range []bool{len(c.Is) > 0, c.Contains != "", c.StartsWith != ""} {
			if set {
				given++
			}
		}
		if c.Claim == "" || given != 1 {
			return nil, fmt.Errorf("constraint %q: give a claim and exactly one of is, contains, starts_with", c.Claim)
		}
		out = append(out, verifier.Constraint{ClaimName: c.Claim, Values: c.Is, Contains: c.Contains, StartsWith: c.StartsWith})
	}
	return out, nil
}

// keepFor adds the claims that a gate uses by itself. It is called while gates are provisioned, before traffic.
func (c *credential) keepFor(claims ...string) {
	for _, claim := range claims {
		c.keep[claim] = true
	}
}

// requirement is the credential as a gate asks for it: with a higher face bar, required claims and a bound value.
func (c *credential) requirement(threshold int, required []verifier.RequiredClaim) verifier.Requirement {
	r := c.base
	if pin := c.learned(); pin != nil {
		r.Type, r.AcceptedIssuers = pin.Type, []string{pin.Issuer}
	}
	if threshold > 0 && r.FaceCheck != nil && threshold > r.FaceCheck.Threshold {
		face := *r.FaceCheck
		face.Threshold = threshold
		r.FaceCheck = &face
	}
	r.RequiredClaims = required
	r.Constraints = slices.Clone(r.Constraints)
	for _, rule := range required {
		if inWallet(rule.Values) {
			r.Constraints = append(r.Constraints, verifier.Constraint{ClaimName: rule.Claim, Values: rule.Values})
		}
	}
	r.Keep = make([]string, 0, len(c.keep))
	for claim := range c.keep {
		r.Keep = append(r.Keep, claim)
	}
	sort.Strings(r.Keep)
	return r
}

// inWallet says whether the wallet can look for a claim with one of the values, so that of several cards it offers the right
// one, and no face is checked for a card that cannot do. Wallets compare texts: a claim that is a number or a truth value in the
// card would never be found, although we would take it.
func inWallet(values []string) bool {
	return !slices.ContainsFunc(values, func(value string) bool {
		var literal any
		err := json.Unmarshal([]byte(value), &literal)
		return err == nil
	})
}

// weakenings names the options that weaken this credential.
func (c *Credential) weakenings() []string {
	var out []string
	if c.InsecureAllowRevoked {
		out = append(out, "insecure_allow_revoked")
	}
	if c.InsecureSkipLinkedDomain {
		out = append(out, "insecure_skip_linked_domain")
	}
	return out
}

// words turns VerifiedEmployee into "Verified Employee".
func words(typeName string) string {
	var b strings.Builder
	for i, r := range typeName {
		if i > 0 && r >= 'A' && r <= 'Z' && typeName[i-1] >= 'a' && typeName[i-1] <= 'z' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
