// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Constants of the W3C credential data model.
const (
	contextCredentials = "https://www.w3.org/2018/credentials/v1"
	typeCredential     = "VerifiableCredential"
	typePresentation   = "VerifiablePresentation"
)

// skew is how far clocks may differ, as the real wallet and service allow.
const skew = 300 * time.Second

// credential is the payload of a card: a JWT-VC.
type credential struct {
	JTI string         `json:"jti"`
	Iss string         `json:"iss"`
	Sub string         `json:"sub"`
	Iat int64          `json:"iat"`
	Nbf int64          `json:"nbf"`
	Exp int64          `json:"exp"`
	VC  credentialBody `json:"vc"`
}

type credentialBody struct {
	Context []string          `json:"@context"`
	Type    []string          `json:"type"`
	Subject map[string]any    `json:"credentialSubject"`
	Status  *credentialStatus `json:"credentialStatus,omitempty"`
}

// claims returns the text claims of the subject; anything else in there is not a claim in the sense of the service.
func (c *credential) claims() map[string]string {
	out := make(map[string]string, len(c.VC.Subject))
	for name, value := range c.VC.Subject {
		if text, ok := value.(string); ok {
			out[name] = text
		}
	}
	return out
}

// typeName returns the type beside VerifiableCredential.
func (c *credential) typeName() string {
	for _, t := range c.VC.Type {
		if t != typeCredential {
			return t
		}
	}
	return ""
}

// issueOptions say what goes into a card.
type issueOptions struct {
	holder   string
	claims   map[string]string // by output name
	issued   time.Time
	expires  time.Time
	noStatus bool
}

// issue signs a card under a contract and remembers where its status bit is.
func (e *Emulator) issue(contract *Contract, o issueOptions) (Card, error) {
	a := e.authorities[contract.Issuer]
	c := credential{
		JTI: "urn:pic:" + e.rand.hex(16), Iss: a.DID, Sub: o.holder,
		Iat: o.issued.Unix(), Nbf: o.issued.Unix(), Exp: o.expires.Unix(),
		VC: credentialBody{
			Context: []string{contextCredentials}, Type: []string{typeCredential, contract.Type},
			Subject: make(map[string]any, len(o.claims)),
		},
	}
	for name, value := range o.claims {
		c.VC.Subject[name] = value
	}
	if !o.noStatus {
		index, err := a.list.next()
		if err != nil {
			return Card{}, fmt.Errorf("issuing card: %w", err)
		}
		if c.VC.Status, err = a.statusOf(index); err != nil {
			return Card{}, fmt.Errorf("issuing card: %w", err)
		}
		e.mu.Lock()
		e.issued[c.JTI] = statusBit{list: a.list, index: index}
		e.mu.Unlock()
	}
	token, err := a.sign(c)
	if err != nil {
		return Card{}, fmt.Errorf("issuing card: %w", err)
	}
	return cardOf(&c, contract, a.Name, token), nil
}

// statusBit is where a card's revocation is recorded.
type statusBit struct {
	list  *statusList
	index int
}

// verifyCredential checks everything about a card that does not depend on what was asked: signature, issuer, times,
// constants and that holder owns it.
func (e *Emulator) verifyCredential(token, holder string) (*credential, error) {
	parsed, err := parseToken(token)
	if err != nil {
		return nil, err
	}
	c := new(credential)
	if err := parsed.claims(c); err != nil {
		return nil, err
	}
	if _, ok := e.authorities[c.Iss]; !ok {
		return nil, errors.New("verifying credential: its issuer is unknown")
	}
	if err := e.verifyToken(parsed, c.Iss, assertionMethod); err != nil {
		return nil, err
	}
	now := e.Now()
	switch {
	case c.Sub != holder:
		return nil, errors.New("verifying credential: it belongs to another holder")
	case c.JTI == "":
		return nil, errors.New("verifying credential: no jti")
	case c.Exp != 0 && now.After(time.Unix(c.Exp, 0)):
		return nil, errCredentialExpired
	case time.Unix(max(c.Nbf, c.Iat), 0).After(now.Add(skew)):
		return nil, errors.New("verifying credential: it is not valid yet")
	case len(c.VC.Context) == 0 || c.VC.Context[0] != contextCredentials || !slices.Contains(c.VC.Type, typeCredential):
		return nil, errors.New("verifying credential: not a verifiable credential")
	}
	return c, nil
}

var errCredentialExpired = errors.New("verifying credential: it has expired")

// revoked reads the status bit that the card itself names.
func (e *Emulator) revoked(c *credential) bool {
	a := e.authorities[c.Iss]
	return a != nil && c.VC.Status != nil && a.list.revoked(c.VC.Status.StatusListIndex)
}
