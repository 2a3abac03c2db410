// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
)

const (
	hintLifetime         = 5 * time.Minute
	codeIssuanceFailed   = "IssuanceFlowFailed"
	completionSuccessful = "issuance_successful"
	completionFailed     = "issuance_failed"
)

// objectPIN tells the wallet how to ask for the PIN and how to hash it.
type objectPIN struct {
	Length     int    `json:"length"`
	Type       string `json:"type"`
	Alg        string `json:"alg"`
	Iterations int    `json:"iterations"`
	Salt       string `json:"salt"`
}

// idTokenHint carries the claims through the wallet back to the service, signed so that nobody changes them.
type idTokenHint struct {
	JTI    string            `json:"jti"` // the request's id
	Iss    string            `json:"iss"`
	Sub    string            `json:"sub"`
	Aud    string            `json:"aud"`
	Iat    int64             `json:"iat"`
	Exp    int64             `json:"exp"`
	Claims map[string]string `json:"claims"`
}

// issuanceObject makes the request object that offers a card.
func (e *Emulator) issuanceObject(r *request, nonce string) (*requestObject, error) {
	asked := r.issuance
	object := e.newRequestObject(r, nonce, "/v1.0/verifiableCredentials/completeIssuance", asked.registration)
	object.Prompt = "create"
	var err error
	object.Claims.VPToken, err = rawJSON(wantedPresentation{presentationDefinition{
		ID: r.definitionID,
		InputDescriptors: []inputDescriptor{{
			ID: asked.contract.Type, Name: asked.contract.Type, Schema: []schemaURI{{asked.contract.Type}},
			Issuance: []descriptorOffer{{Manifest: asked.manifest}},
		}},
	}})
	if err != nil {
		return nil, err
	}
	if asked.pin != nil {
		object.PIN = &objectPIN{Length: asked.pin.length, Type: "numeric", Alg: pinAlg, Iterations: 1, Salt: asked.pin.salt}
	}
	now := e.Now()
	object.IDTokenHint, err = r.authority.sign(idTokenHint{
		JTI: r.id, Iss: selfIssuedHint, Sub: r.authority.DID, Aud: e.cardIssueURL(r.tenant),
		Iat: now.Unix(), Exp: now.Add(hintLifetime + answerGrace).Unix(), Claims: asked.claims,
	})
	return object, err
}

// issueRequest is what the wallet posts to get its card, signed by the holder.
type issueRequest struct {
	Iss          string       `json:"iss"`
	Sub          string       `json:"sub"` // thumbprint of sub_jwk
	SubJWK       jwk          `json:"sub_jwk"`
	DID          string       `json:"did"`
	Aud          string       `json:"aud"`
	Iat          int64        `json:"iat"`
	Exp          int64        `json:"exp"`
	JTI          string       `json:"jti"`
	Contract     string       `json:"contract"`
	Attestations attestations `json:"attestations"`
	PIN          string       `json:"pin,omitempty"`
}

type attestations struct {
	IDTokens map[string]string `json:"idTokens"`
}

// issuedCard is the answer to an [issueRequest].
type issuedCard struct {
	VC string `json:"vc"`
}

// serveIssue hands out the card of an issuance request.
func (e *Emulator) serveIssue(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return badField("", "The request body is not readable.")
	}
	asked, err := e.verifyIssueRequest(strings.TrimSpace(string(body)), r.PathValue("tenant"))
	if err != nil {
		return badToken("The issuance request is not valid: %s.", err)
	}
	found, err := e.verifyHint(asked)
	if err != nil {
		return badToken("The id_token_hint is not valid: %s.", err)
	}
	if !found.startAnswer(e.Now()) {
		return notFound(found.id, "The issuance request was not found.")
	}
	defer found.endAnswer(false)
	if found.issued {
		return badToken("The card of this request was issued already.")
	}
	if found.issuance.pin != nil && !found.issuance.pin.matches(asked.PIN) {
		return &serviceError{status: http.StatusForbidden, inner: codeWrongPIN, message: "The PIN is wrong."}
	}
	card, err := e.issueFor(found.issuance, asked.DID)
	if err != nil {
		return err
	}
	found.issued = true
	writeJSON(w, http.StatusOK, issuedCard{VC: card.Token})
	return nil
}

func (e *Emulator) verifyIssueRequest(token, tenant string) (*issueRequest, error) {
	parsed, err := parseToken(token)
	if err != nil {
		return nil, err
	}
	asked := new(issueRequest)
	if err := parsed.claims(asked); err != nil {
		return nil, err
	}
	if _, holder, err := resolveSelfContained(asked.DID); !holder || err != nil {
		return nil, errors.New("the holder's DID is not a did:ion in long form or a did:jwk")
	}
	if err := e.verifyToken(parsed, asked.DID, authentication); err != nil {
		return nil, err
	}
	thumbprint, err := asked.SubJWK.thumbprint()
	now := e.Now()
	switch {
	case err != nil || thumbprint != asked.Sub:
		return nil, errors.New("sub is not the thumbprint of sub_jwk")
	case asked.Iss != selfIssuedHint:
		return nil, errors.New("wrong issuer")
	case asked.Aud != e.cardIssueURL(tenant):
		return nil, errors.New("wrong audience")
	case time.Unix(asked.Iat, 0).After(now.Add(skew)) || !now.Before(time.Unix(asked.Exp, 0).Add(skew)):
		return nil, errors.New("not valid now")
	}
	return asked, nil
}

// verifyHint finds the request that the id_token_hint belongs to.
func (e *Emulator) verifyHint(asked *issueRequest) (*request, error) {
	parsed, err := parseToken(asked.Attestations.IDTokens[selfIssuedHint])
	if err != nil {
		return nil, err
	}
	var hint idTokenHint
	if err := parsed.claims(&hint); err != nil {
		return nil, err
	}
	found, ok := e.requests.find(hint.JTI)
	if !ok || found.kind != Issuance {
		return nil, errors.New("it belongs to no request")
	}
	if err := e.verifyToken(parsed, found.authority.DID, assertionMethod); err != nil {
		return nil, err
	}
	switch {
	case hint.Aud != asked.Aud || e.Now().After(time.Unix(hint.Exp, 0)):
		return nil, errors.New("it is not valid here and now")
	case asked.Contract != found.issuance.manifest:
		return nil, errors.New("it belongs to another contract")
	}
	return found, nil
}

// issueFor makes the card that an issuance request promised.
func (e *Emulator) issueFor(asked *issuanceRequest, holder string) (Card, error) {
	now := e.Now()
	expires := asked.expires
	if expires.IsZero() {
		expires = now.Add(asked.contract.Validity)
	}
	return e.issue(asked.contract, issueOptions{
		holder: holder, claims: outputClaims(asked.contract, asked.claims), issued: now, expires: expires,
	})
}

// outputClaims turns the claims of a request into those of the card.
func outputClaims(c *Contract, in map[string]string) map[string]string {
	out := make(map[string]string, len(in))
	for _, rule := range c.Claims {
		if value, ok := in[rule.Name]; ok {
			out[rule.Output] = value
		}
	}
	return out
}

// completion is how the wallet says that it has the card, or does not want it.
type completion struct {
	Code    string `json:"code"`
	State   string `json:"state"`
	Details string `json:"details,omitempty"`
}

// completeIssuance tells the relying party how the issuance ended.
func (e *Emulator) completeIssuance(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return badField("", "The request body is not readable.")
	}
	var done completion
	if err := jsonv2.Unmarshal(body, &done); err != nil {
		return badField("", "The request body is not a valid JSON object.")
	}
	found, ok := e.requests.findByState(done.State)
	if !ok || found.kind != Issuance {
		return badField("state", "The state is not known.")
	}
	answer := callbackBody{RequestStatus: statusIssued}
	switch done.Code {
	case completionSuccessful:
	case completionFailed:
		answer = callbackBody{RequestStatus: statusIssuanceError, Error: &callbackError{Code: codeIssuanceFailed, Message: done.Details}}
		if done.Details == "" {
			answer.Error.Message = "unspecified_error"
		}
	default:
		return badField("code", "The code is not known.")
	}
	if !found.startAnswer(e.Now()) {
		return notFound(found.id, "The issuance request was not found.")
	}
	if done.Code == completionSuccessful && !found.issued {
		found.endAnswer(false)
		return badField("code", "No card was issued for this request.")
	}
	entry := e.callBack(found, answer)
	found.endAnswer(true)
	setCallbackStatus(w, entry)
	if !entry.taken() {
		return &serviceError{status: http.StatusInternalServerError}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// pinProof is what the wallet sends in place of the PIN.
func pinProof(salt, value string) string {
	return base64.StdEncoding.EncodeToString(hashPIN(salt, value))
}
