// SPDX-License-Identifier: Apache-2.0

package verifier

// RequestStatus is what a callback reports. The service compares nothing here for us: a status that is not exactly one of
// the three constants is unknown and changes nothing.
type RequestStatus string

const (
	// StatusRequestRetrieved says that a wallet has fetched the request: the QR code was scanned or the link opened.
	StatusRequestRetrieved RequestStatus = "request_retrieved"

	// StatusPresentationVerified says that the holder has shared and the service has checked. It is the beginning of our
	// own check, not its result: see [Evaluate].
	StatusPresentationVerified RequestStatus = "presentation_verified"

	// StatusPresentationError says that the service refused what was presented; see [ReasonOfError].
	StatusPresentationError RequestStatus = "presentation_error"
)

// Callback is one message of the Request Service, reduced to what decides. [ParseCallback] makes it.
type Callback struct {
	// RequestID is the service's name of the request.
	RequestID string

	// Status is what happened.
	Status RequestStatus

	// State is the value we gave in [CallbackTarget].
	State string

	// Subject is the holder's DID, only with [StatusPresentationVerified]. It may be 750 bytes long and changes when the
	// holder reinstalls the wallet.
	Subject string

	// Credentials are what was presented, in the service's order, which means nothing.
	Credentials []VerifiedCredential

	// Error is the service's reason, only with [StatusPresentationError].
	Error *CallbackError

	// Digest is a SHA-256 over all the fields above. Two deliveries of one event have the same
	// digest; see [Transaction.Verified].
	Digest [32]byte
}

// VerifiedCredential is one entry of verifiedCredentialsData. Absent members are empty.
type VerifiedCredential struct {
	// Issuer is the DID that signed the credential.
	Issuer string

	// Types are the credential's types, "VerifiableCredential" among them.
	Types []string

	// Claims are the claims that were asked to be kept, sorted by name.
	Claims []Claim

	// RevocationStatus is credentialState.revocationStatus, VALID or REVOKED.
	RevocationStatus string

	// DomainURL is domainValidation.url, the issuer's linked domain, such as "https://issuer.example/".
	DomainURL string

	// IssuanceDate and ExpirationDate are RFC 3339 texts.
	IssuanceDate, ExpirationDate string

	// FaceCheck is nil if the service reports no score.
	FaceCheck *FaceCheckResult
}

// FaceCheckResult is the outcome of a Face Check.
type FaceCheckResult struct {
	// Score is the match confidence, 0 to 100.
	Score float64
}

// CallbackError is why the service refused.
type CallbackError struct {
	// Code is from an open set; see [ReasonOfError]. The message beside it is for people, may name the credential, and is
	// not read.
	Code string
}

// Claim returns the value of the named claim, and whether the credential has it.
func (c *VerifiedCredential) Claim(name string) (string, bool) { return findClaim(c.Claims, name) }
