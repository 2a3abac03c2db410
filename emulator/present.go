// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// createPresentation serves createPresentationRequest.
func (e *Emulator) createPresentation(w http.ResponseWriter, r *http.Request) error {
	tenant, err := e.authorize(r, requestServiceApp, RoleCreateAll, RolePresentRequest)
	if err != nil {
		return err
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	asked, err := e.readPresentationRequest(body, tenant)
	if err != nil {
		return err
	}
	return e.open(w, &request{
		kind: Presentation, tenant: tenant, authority: asked.authority, callback: asked.callback, presentation: asked,
	}, asked.includeQRCode)
}

// presentationObject makes the request object of a presentation. A Face Check adds a second definition, for the
// liveness credential.
func (e *Emulator) presentationObject(r *request, nonce string) (*requestObject, error) {
	asked := r.presentation
	object := e.newRequestObject(r, nonce, "/v1.0/verifiableCredentials/verifyPresentation", asked.registration)
	main := presentationDefinition{ID: r.definitionID}
	liveness := presentationDefinition{ID: r.livenessID}
	for i, c := range asked.credentials {
		main.InputDescriptors = append(main.InputDescriptors, e.descriptorOf(i, c))
		if c.faceCheck != nil {
			liveness.InputDescriptors = append(liveness.InputDescriptors, livenessDescriptor(descriptorID(i, c), c.faceCheck))
		}
	}
	var wanted any = wantedPresentation{main}
	if len(liveness.InputDescriptors) > 0 {
		wanted = []wantedPresentation{{main}, {liveness}}
	}
	var err error
	object.Claims.VPToken, err = rawJSON(wanted)
	return object, err
}

func descriptorID(i int, c requestedCredential) string {
	return fmt.Sprintf("%s-%d", c.credentialType, i+1)
}

// descriptorOf says which card is wanted: its type as schema, its issuers and claims as patterns.
func (e *Emulator) descriptorOf(i int, c requestedCredential) inputDescriptor {
	d := inputDescriptor{
		ID: descriptorID(i, c), Name: c.credentialType, Purpose: c.purpose, Schema: []schemaURI{{c.credentialType}},
	}
	var fields []descriptorField
	if len(c.acceptedIssuers) > 0 {
		fields = append(fields, descriptorField{
			Path:   []string{"$.issuer", "$.vc.issuer", issuerPath},
			Filter: &fieldFilter{Type: "string", Pattern: anyOf(c.acceptedIssuers)},
		})
	}
	for _, condition := range c.constraints {
		fields = append(fields, descriptorField{
			Path: []string{subjectPath + condition.claim}, Filter: &fieldFilter{Type: "string", Pattern: condition.pattern()},
		})
	}
	if c.faceCheck != nil {
		fields = append(fields, descriptorField{Path: []string{subjectPath + c.faceCheck.PhotoClaim}})
	}
	if len(fields) > 0 {
		d.Constraints = &descriptorFieldSet{Fields: fields}
	}
	for _, contract := range e.cfg.Contracts {
		if contract.Type == c.credentialType && (len(c.acceptedIssuers) == 0 || slices.Contains(c.acceptedIssuers, contract.Issuer)) {
			d.Issuance = append(d.Issuance, descriptorOffer{Manifest: e.ManifestURL(contract)})
		}
	}
	return d
}

// livenessDescriptor asks for the result of the Face Check on the photo of another descriptor's card.
func livenessDescriptor(of string, check *FaceCheck) inputDescriptor {
	return inputDescriptor{
		ID: livenessType + "-" + of, Name: livenessType, Schema: []schemaURI{{livenessType}},
		Constraints: &descriptorFieldSet{Fields: []descriptorField{
			{Path: []string{subjectPath + "sourceDescriptor"}, Filter: &fieldFilter{Type: "string", Const: of}},
			{Path: []string{subjectPath + "sourcePhotoClaimName"}, Filter: &fieldFilter{Type: "string", Const: check.PhotoClaim}},
			{Path: []string{subjectPath + "matchConfidenceScore"}, Filter: &fieldFilter{Type: "number", Minimum: check.Threshold}},
		}},
	}
}

// pattern writes the constraint as the regular expression that wallets search for, without regard to case.
func (c constraint) pattern() string {
	switch {
	case len(c.values) > 0:
		return anyOf(c.values)
	case c.contains != "":
		return regexp.QuoteMeta(c.contains)
	default:
		return "^" + regexp.QuoteMeta(c.startsWith)
	}
}

// anyOf is a pattern for exactly one of these texts.
func anyOf(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = regexp.QuoteMeta(text)
	}
	return "^(?:" + strings.Join(quoted, "|") + ")$"
}
