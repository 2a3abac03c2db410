// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// selfIssued is the issuer of every id_token of a wallet.
const selfIssued = "https://self-issued.me/v2/openid-vc"

// idToken is the wallet's answer: who the holder is and which presentations answer which definitions.
type idToken struct {
	Sub   string `json:"sub"`
	Aud   string `json:"aud"`
	Iss   string `json:"iss"`
	Nonce string `json:"nonce"`
	Iat   int64  `json:"iat"`
	Exp   int64  `json:"exp"`
	JTI   string `json:"jti,omitempty"`
	// Presented is one submission or an array of them.
	Presented jsontext.Value `json:"_vp_token"`
}

type submissionHolder struct {
	Submission submission `json:"presentation_submission"`
}

type submission struct {
	ID            string           `json:"id"`
	DefinitionID  string           `json:"definition_id"`
	DescriptorMap []descriptorPath `json:"descriptor_map"`
}

type descriptorPath struct {
	ID     string          `json:"id"`
	Format string          `json:"format"`
	Path   string          `json:"path"`
	Nested *descriptorPath `json:"path_nested,omitempty"`
}

// vpToken is one presentation: cards, signed by their holder for this verifier and this request.
type vpToken struct {
	JTI     string           `json:"jti,omitempty"`
	Iss     string           `json:"iss"`
	Aud     string           `json:"aud"`
	Nonce   string           `json:"nonce"`
	Purpose string           `json:"purpose,omitempty"`
	Iat     int64            `json:"iat"`
	Nbf     int64            `json:"nbf"`
	Exp     int64            `json:"exp"`
	VP      presentationBody `json:"vp"`
}

type presentationBody struct {
	Context     []string `json:"@context"`
	Type        []string `json:"type"`
	Credentials []string `json:"verifiableCredential"`
}

// verifyIDToken checks the wallet's id_token against the request it answers.
func (e *Emulator) verifyIDToken(r *request, token string) (*idToken, error) {
	parsed, err := parseToken(token)
	if err != nil {
		return nil, fmt.Errorf("id_token: %w", err)
	}
	t := new(idToken)
	if err := parsed.claims(t); err != nil {
		return nil, fmt.Errorf("id_token: %w", err)
	}
	if _, holder, err := resolveSelfContained(t.Sub); !holder || err != nil {
		return nil, errors.New("id_token: the holder's DID is not a did:ion in long form or a did:jwk")
	}
	if err := e.verifyToken(parsed, t.Sub, authentication); err != nil {
		return nil, fmt.Errorf("id_token: %w", err)
	}
	now := e.Now()
	issued := time.Unix(t.Iat, 0)
	switch {
	case t.Iss != selfIssued:
		return nil, errors.New("id_token: wrong issuer")
	case t.Aud != r.authority.DID:
		return nil, errors.New("id_token: made for another verifier")
	case !r.knowsNonce(t.Nonce):
		return nil, errors.New("id_token: wrong nonce")
	case issued.After(now.Add(skew)) || issued.Before(r.created.Add(-skew)):
		return nil, errors.New("id_token: not made for this request")
	case !now.Before(time.Unix(t.Exp, 0).Add(skew)):
		return nil, errors.New("id_token: expired")
	}
	if err := r.checkDefinitions(t); err != nil {
		return nil, fmt.Errorf("id_token: %w", err)
	}
	return t, nil
}

// checkDefinitions says whether the submissions answer the definitions of the request, each exactly once. The paths
// in them are not followed: every wallet writes them in its own way.
func (r *request) checkDefinitions(t *idToken) error {
	var many []submissionHolder
	if t.Presented.Kind() == '[' {
		if err := jsonv2.Unmarshal(t.Presented, &many); err != nil {
			return errors.New("unreadable presentation submission")
		}
	} else {
		many = make([]submissionHolder, 1)
		if err := jsonv2.Unmarshal(t.Presented, &many[0]); err != nil {
			return errors.New("unreadable presentation submission")
		}
	}
	wanted := []string{r.definitionID}
	if slices.ContainsFunc(r.presentation.credentials, func(c requestedCredential) bool { return c.faceCheck != nil }) {
		wanted = append(wanted, r.livenessID)
	}
	got := make([]string, len(many))
	for i, one := range many {
		got[i] = one.Submission.DefinitionID
	}
	slices.Sort(wanted)
	slices.Sort(got)
	if !slices.Equal(wanted, got) {
		return errors.New("it answers other presentation definitions")
	}
	return nil
}

// verifyVPToken checks one presentation and all cards in it.
func (e *Emulator) verifyVPToken(r *request, who *idToken, token string) ([]*credential, error) {
	parsed, err := parseToken(token)
	if err != nil {
		return nil, fmt.Errorf("vp_token: %w", err)
	}
	var t vpToken
	if err := parsed.claims(&t); err != nil {
		return nil, fmt.Errorf("vp_token: %w", err)
	}
	now := e.Now()
	from := time.Unix(max(t.Iat, t.Nbf), 0)
	switch {
	case t.Iss != who.Sub:
		return nil, errors.New("vp_token: another holder than in the id_token")
	case t.Aud != r.authority.DID:
		return nil, errors.New("vp_token: made for another verifier")
	case t.Nonce != who.Nonce:
		return nil, errors.New("vp_token: another nonce than in the id_token")
	case from.After(now.Add(skew)) || from.Before(r.created.Add(-skew)):
		return nil, errors.New("vp_token: not made for this request")
	case !now.Before(time.Unix(t.Exp, 0).Add(skew)):
		return nil, errors.New("vp_token: expired")
	case !slices.Contains(t.VP.Type, typePresentation) || len(t.VP.Credentials) == 0:
		return nil, errors.New("vp_token: not a presentation of credentials")
	}
	if err := e.verifyToken(parsed, t.Iss, authentication); err != nil {
		return nil, fmt.Errorf("vp_token: %w", err)
	}
	var cards []*credential
	for _, one := range t.VP.Credentials {
		card, err := e.verifyCredential(one, t.Iss)
		if err != nil {
			return nil, fmt.Errorf("vp_token: %w", err)
		}
		cards = append(cards, card)
	}
	return cards, nil
}

// rawJSON encodes what an idToken presents.
func rawJSON(v any) (jsontext.Value, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	return b, nil
}
