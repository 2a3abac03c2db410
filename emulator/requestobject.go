// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
)

// requestObject is what the wallet fetches: a SIOP request signed by the authority.
type requestObject struct {
	JTI          string             `json:"jti"`
	Iat          int64              `json:"iat"`
	Exp          int64              `json:"exp"`
	ResponseType string             `json:"response_type"`
	ResponseMode string             `json:"response_mode"`
	Scope        string             `json:"scope"`
	Nonce        string             `json:"nonce"`
	ClientID     string             `json:"client_id"`
	RedirectURI  string             `json:"redirect_uri"`
	State        string             `json:"state"`
	Registration objectRegistration `json:"registration"`
	Claims       objectClaims       `json:"claims"`
	Prompt       string             `json:"prompt,omitempty"`
	IDTokenHint  string             `json:"id_token_hint,omitempty"`
	PIN          *objectPIN         `json:"pin,omitempty"`
}

type objectRegistration struct {
	ClientName    string    `json:"client_name"`
	ClientPurpose string    `json:"client_purpose,omitempty"`
	LogoURI       string    `json:"logo_uri,omitempty"`
	TOSURI        string    `json:"tos_uri,omitempty"`
	SubjectTypes  []string  `json:"subject_syntax_types_supported"`
	VPFormats     vpFormats `json:"vp_formats"`
}

type vpFormats struct {
	JWTVP algorithms `json:"jwt_vp"`
	JWTVC algorithms `json:"jwt_vc"`
}

type algorithms struct {
	Alg []string `json:"alg"`
}

type objectClaims struct {
	// VPToken is one wantedPresentation or an array of them; wallets read both.
	VPToken jsontext.Value `json:"vp_token"`
}

type wantedPresentation struct {
	Definition presentationDefinition `json:"presentation_definition"`
}

type presentationDefinition struct {
	ID               string            `json:"id"`
	InputDescriptors []inputDescriptor `json:"input_descriptors"`
}

type inputDescriptor struct {
	ID          string              `json:"id"`
	Name        string              `json:"name,omitempty"`
	Purpose     string              `json:"purpose,omitempty"`
	Schema      []schemaURI         `json:"schema"`
	Issuance    []descriptorOffer   `json:"issuance,omitempty"`
	Constraints *descriptorFieldSet `json:"constraints,omitempty"`
}

type schemaURI struct {
	URI string `json:"uri"`
}

type descriptorOffer struct {
	Manifest string `json:"manifest"`
}

type descriptorFieldSet struct {
	Fields []descriptorField `json:"fields"`
}

type descriptorField struct {
	Path   []string     `json:"path"`
	Filter *fieldFilter `json:"filter,omitempty"`
}

type fieldFilter struct {
	Type    string `json:"type"`
	Pattern string `json:"pattern,omitempty"`
	Const   string `json:"const,omitempty"`
	Minimum int    `json:"minimum,omitempty"`
}

const (
	subjectPath  = "$.vc.credentialSubject."
	livenessType = "LivenessCredential"
	issuerPath   = "$.iss"
)

// newRequestObject fills in what both kinds of requests have in common.
func (e *Emulator) newRequestObject(r *request, nonce, redirectPath string, who registration) *requestObject {
	algs := algorithms{Alg: []string{"ES256", "ES256K"}}
	now := e.Now()
	return &requestObject{
		JTI: e.rand.uuid(), Iat: now.Unix(), Exp: now.Add(e.cfg.RequestLifetime).Unix(),
		ResponseType: "id_token", ResponseMode: "post", Scope: "openid", Nonce: nonce,
		ClientID: r.authority.DID, RedirectURI: e.cfg.PublicURL + redirectPath, State: r.state,
		Registration: objectRegistration{
			ClientName: who.clientName, ClientPurpose: who.purpose, LogoURI: who.logoURL, TOSURI: who.termsURL,
			SubjectTypes: []string{"did:ion", "did:jwk"}, VPFormats: vpFormats{JWTVP: algs, JWTVC: algs},
		},
	}
}

// serveRequestObject serves request_uri of both kinds, and so tells the relying party that its request was opened.
func (e *Emulator) serveRequestObject(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	found, ok := e.requests.find(id)
	if !ok || found.tenant != r.PathValue("tenant") {
		return notFound(id, "The request was not found.")
	}
	nonce, ok := found.fetch(e.rand.nonce(), e.Now())
	if !ok {
		return notFound(id, "The request was not found.")
	}
	var object *requestObject
	var err error
	if found.kind == Presentation {
		object, err = e.presentationObject(found, nonce)
	} else {
		object, err = e.issuanceObject(found, nonce)
	}
	if err != nil {
		return err
	}
	token, err := found.authority.sign(object)
	if err != nil {
		return err
	}
	e.callBack(found, callbackBody{RequestStatus: statusRetrieved})
	w.Header().Set("Content-Type", "application/jwt")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Request-Id", e.rand.uuid())
	w.Header().Set("ms-cv", e.rand.correlationVector())
	_, _ = w.Write([]byte(token)) // the wallet has gone
	return nil
}
