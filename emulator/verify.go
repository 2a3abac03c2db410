// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Codes of presentation_error that are known.
const (
	errorClaimValidation = "claimValidationError"
	errorToken           = "tokenError"
	messageFaceCheck     = "Match confidence score failing to meet the threshold."
)

// CallbackStatusHeader is on the service's answer to the wallet and holds the HTTP status that the relying party
// answered to the callback. The real service has no such header; the wallet page shows it.
const CallbackStatusHeader = "X-Verified-Id-Emulator-Callback-Status"

// verifyPresentation takes the wallet's answer, judges it, tells the relying party and only then answers the wallet.
func (e *Emulator) verifyPresentation(w http.ResponseWriter, r *http.Request) error {
	if mediaType(r) != "application/x-www-form-urlencoded" {
		return &serviceError{status: http.StatusUnsupportedMediaType}
	}
	if err := r.ParseForm(); err != nil {
		return badField("", "The request body is not a readable form.")
	}
	found, ok := e.requests.findByState(r.PostForm.Get("state"))
	if !ok || found.kind != Presentation {
		return badField("state", "The state is not known.")
	}
	if !found.startAnswer(e.Now()) {
		return notFound(found.id, "The presentation request was not found.")
	}
	result, failure := e.judgeAnswer(found, r.PostForm.Get("id_token"), r.PostForm["vp_token"])
	if failure != nil {
		entry := e.callBack(found, callbackBody{RequestStatus: statusPresentationError, Error: failure})
		found.endAnswer(true)
		setCallbackStatus(w, entry)
		return &serviceError{status: http.StatusBadRequest, inner: failure.Code, message: failure.Message}
	}
	entry := e.callBack(found, *result)
	found.endAnswer(true)
	setCallbackStatus(w, entry)
	if !entry.taken() {
		// What people then see in the real app is "Internal error 500".
		return &serviceError{status: http.StatusInternalServerError}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func setCallbackStatus(w http.ResponseWriter, entry RecordedCallback) {
	if entry.Status != 0 {
		w.Header().Set(CallbackStatusHeader, strconv.Itoa(entry.Status))
	}
}

// judgeAnswer does what the real service says it has done when a callback says presentation_verified: signatures,
// nonce, audience, holder binding, times, types, issuers, constraints, revocation, linked domain, Face Check.
func (e *Emulator) judgeAnswer(r *request, idToken string, vpTokens []string) (*callbackBody, *callbackError) {
	who, err := e.verifyIDToken(r, idToken)
	if err != nil {
		return nil, tokenProblem(err)
	}
	var presented []*credential
	for _, token := range vpTokens {
		credentials, err := e.verifyVPToken(r, who, token)
		if err != nil {
			return nil, tokenProblem(err)
		}
		presented = append(presented, credentials...)
	}
	body := &callbackBody{RequestStatus: statusVerified, Subject: who.Sub}
	var checks []faceCheckReceipt
	used := map[*credential]bool{}
	for i, wanted := range r.presentation.credentials {
		card, failure := e.pick(wanted, presented, used)
		if failure != nil {
			return nil, failure
		}
		used[card] = true
		entry := e.entryOf(card)
		if wanted.validateLinkedDomain && entry.DomainValidation == nil {
			return nil, &callbackError{Code: errorToken, Message: "The linked domain of the issuer could not be verified."}
		}
		if wanted.faceCheck != nil {
			result, failure := judgeFaceCheck(who, descriptorID(i, wanted), wanted.faceCheck, card, presented)
			if failure != nil {
				return nil, failure
			}
			entry.FaceCheck = result
			checks = append(checks, faceCheckReceipt{
				SourceJTI: card.JTI, Threshold: wanted.faceCheck.Threshold, Score: result.Score, Quality: result.Quality,
			})
		}
		body.Credentials = append(body.Credentials, entry)
	}
	// The order is promised nowhere; this is the one that a client would least expect.
	slices.Reverse(body.Credentials)
	if r.presentation.includeReceipt {
		if body.Receipt, err = e.receiptOf(r, who, idToken, vpTokens, checks); err != nil {
			return nil, tokenProblem(err)
		}
	}
	return body, nil
}

func tokenProblem(err error) *callbackError {
	return &callbackError{Code: errorToken, Message: "The presentation is not valid: " + err.Error() + "."}
}

// pick finds the card that fulfils one entry of the request.
func (e *Emulator) pick(wanted requestedCredential, presented []*credential, used map[*credential]bool) (*credential, *callbackError) {
	fits := func(c *credential) bool {
		return !used[c] && c.typeName() == wanted.credentialType &&
			(len(wanted.acceptedIssuers) == 0 || slices.Contains(wanted.acceptedIssuers, c.Iss))
	}
	i := slices.IndexFunc(presented, fits)
	if i < 0 {
		return nil, &callbackError{Code: errorToken, Message: fmt.Sprintf("No credential of type '%s' from an accepted issuer was presented.", wanted.credentialType)}
	}
	card := presented[i]
	for _, condition := range wanted.constraints {
		if !condition.met(card.claims()) {
			return nil, &callbackError{Code: errorClaimValidation, Message: fmt.Sprintf("The claim '%s' does not meet the constraint.", condition.claim)}
		}
	}
	if e.revoked(card) && !wanted.allowRevoked {
		return nil, &callbackError{Code: errorToken, Message: fmt.Sprintf("The presented verifiable credential with jti '%s' is revoked.", card.JTI)}
	}
	return card, nil
}

// entryOf describes a card in the callback.
func (e *Emulator) entryOf(card *credential) verifiedCredential {
	entry := verifiedCredential{
		Issuer: card.Iss, Type: card.VC.Type, Claims: card.claims(),
		CredentialState: credentialState{RevocationStatus: "VALID"},
		IssuanceDate:    time.Unix(card.Iat, 0).UTC().Format(time.RFC3339),
	}
	if card.Exp != 0 {
		entry.ExpirationDate = time.Unix(card.Exp, 0).UTC().Format(time.RFC3339)
	}
	if e.revoked(card) {
		entry.CredentialState.RevocationStatus = "REVOKED"
	}
	if origin, verified := e.linkedDomainOf(card.Iss); verified {
		entry.DomainValidation = &domainValidation{URL: origin}
	}
	return entry
}
