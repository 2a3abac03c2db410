// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Bounds of the PIN's length and its default, from the issuance documentation.
const (
	minPINLength     = 4
	maxPINLength     = 16
	defaultPINLength = 6
	pinAlg           = "sha256"
)

// issuanceRequest is a createIssuanceRequest that passed.
type issuanceRequest struct {
	authority     *authority
	registration  registration
	callback      callbackTarget
	includeQRCode bool
	contract      *Contract
	manifest      string // as the caller wrote it
	claims        map[string]string
	pin           *pin
	expires       time.Time // zero: the contract's validity
}

// pin is the salted hash of the PIN; plain ones are hashed on arrival.
type pin struct {
	length int
	salt   string
	hash   []byte
}

// createIssuance serves createIssuanceRequest.
func (e *Emulator) createIssuance(w http.ResponseWriter, r *http.Request) error {
	tenant, err := e.authorize(r, requestServiceApp, RoleCreateAll, RoleIssueRequest)
	if err != nil {
		return err
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	asked, err := e.readIssuanceRequest(body, tenant)
	if err != nil {
		return err
	}
	return e.open(w, &request{
		kind: Issuance, tenant: tenant, authority: asked.authority, callback: asked.callback, issuance: asked,
	}, asked.includeQRCode)
}

// readIssuanceRequest judges a createIssuanceRequest body. Of several problems it answers the first.
func (e *Emulator) readIssuanceRequest(f fields, tenant string) (*issuanceRequest, error) {
	p := &issuanceRequest{
		authority:     e.readAuthority(f, tenant),
		includeQRCode: f.boolean("includeQRCode"),
		registration:  readRegistration(f),
		callback:      e.readCallback(f),
	}
	f.needText("type") // ignored beyond that, when the manifest is right
	p.manifest = f.needText("manifest")
	p.claims = f.textMap("claims")
	p.pin = e.readPIN(f)
	expires := f.text("expirationDate")
	f.done()
	if err := f.err(); err != nil {
		return nil, err
	}
	var injection bool
	p.contract, injection = e.contractAt(p.manifest)
	if p.contract == nil || p.contract.Issuer != p.authority.DID {
		return nil, badField("manifest", "The request does not contain a valid manifest URL of the authority.")
	}
	if p.contract.ClaimInjectionOnly && !injection {
		return nil, badField("claims", "Claims of this contract cannot be given in the request. The manifest URL needs manifestType=claimInjection.")
	}
	if err := checkInputClaims(p.contract, p.claims); err != nil {
		return nil, err
	}
	if expires == "" {
		return p, nil
	}
	if !p.contract.AllowValidityOverride {
		return nil, badField("expirationDate", "Expiration Date cannot be used when Validity Interval is not allowed to be overridden")
	}
	var err error
	if p.expires, err = time.Parse(time.RFC3339, expires); err != nil || !strings.HasSuffix(expires, "Z") {
		return nil, badField("expirationDate", "The request contains `expirationDate`, but it is not an ISO 8601 date in UTC.")
	}
	if !p.expires.After(e.Now()) {
		return nil, badField("expirationDate", "The request contains `expirationDate`, but it is in the past.")
	}
	return p, nil
}

// contractAt finds the contract behind a manifest URL of this emulator.
func (e *Emulator) contractAt(manifest string) (c *Contract, injection bool) {
	u, err := url.Parse(manifest)
	if err != nil {
		return nil, false
	}
	injection = u.Query().Get("manifestType") == "claimInjection"
	u.RawQuery = ""
	for i := range e.cfg.Contracts {
		if c := &e.cfg.Contracts[i]; strings.EqualFold(u.String(), e.ManifestURL(*c)) {
			return c, injection
		}
	}
	return nil, false
}

func checkInputClaims(c *Contract, claims map[string]string) error {
	for _, rule := range c.Claims {
		if rule.Required && claims[rule.Name] == "" {
			return badField("claims."+rule.Name, "The request does not contain the required claim `%s`.", rule.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		if !slices.ContainsFunc(c.Claims, func(rule ClaimRule) bool { return rule.Name == name }) {
			return badField("claims."+name, "The request contains the claim `%s`, which is not in the contract.", name)
		}
	}
	return nil
}

func (e *Emulator) readPIN(f fields) *pin {
	in, ok := f.object("pin")
	if !ok {
		return nil
	}
	value, kind, salt, alg := in.needText("value"), in.text("type"), in.text("salt"), in.text("alg")
	length, present := in.integer("length")
	if !present {
		length = defaultPINLength
	}
	iterations, hasIterations := in.integer("iterations")
	if kind != "" && kind != "numeric" {
		in.fail("type", "The request contains `pin.type`, but it is not numeric.")
	}
	if length < minPINLength || length > maxPINLength {
		in.fail("length", "The request contains `pin.length`, but it is not between %d and %d.", minPINLength, maxPINLength)
	}
	defer in.done()
	if salt == "" && alg == "" && !hasIterations {
		if len(value) != length || strings.Trim(value, "0123456789") != "" {
			in.fail("value", "The request contains `pin.value`, but it is not %d digits.", length)
		}
		salt = e.rand.hex(8)
		return &pin{length: length, salt: salt, hash: hashPIN(salt, value)}
	}
	if alg != pinAlg {
		in.fail("alg", "The request contains `pin.alg`, but it is not %s.", pinAlg)
	}
	if iterations != 1 {
		in.fail("iterations", "The request contains `pin.iterations`, but it is not 1.")
	}
	hash, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(hash) != sha256.Size {
		in.fail("value", "The request contains `pin.value`, but it is not the base64 of a SHA-256 hash.")
	}
	return &pin{length: length, salt: salt, hash: hash}
}

// hashPIN puts the salt in front of the PIN, as documented.
func hashPIN(salt, value string) []byte {
	sum := sha256.Sum256([]byte(salt + value))
	return sum[:]
}

// matches compares what a wallet sent: the base64 of the salted hash.
func (p *pin) matches(sent string) bool {
	hash, err := base64.StdEncoding.DecodeString(sent)
	return err == nil && subtle.ConstantTimeCompare(hash, p.hash) == 1
}
