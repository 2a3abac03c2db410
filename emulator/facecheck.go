// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"time"
)

// FaceCheckAuthority signs liveness credentials and Face Check receipts. The real service's DID is not published.
const FaceCheckAuthority = "did:web:facecheck.service.example"

const (
	livenessLifetime = 5 * time.Minute
	typeFaceReceipt  = "MicrosoftFaceCheckReceipt"
)

// livenessClaims say what a liveness credential is about.
type livenessClaims struct {
	holder, nonce, descriptor, photoClaim, cardID, quality string
	score                                                  float64
}

// liveness stands for the selfie: it is where the real wallet sends the camera's pictures to the cloud and gets back
// a signed result for one card, one holder and one request. Here the result is whatever the person chose.
func (e *Emulator) liveness(c livenessClaims) (string, error) { return e.livenessBy(e.faceCheck, c) }

func (e *Emulator) livenessBy(signer *authority, c livenessClaims) (string, error) {
	now := e.Now()
	return signer.sign(credential{
		JTI: "urn:pic:" + e.rand.hex(16), Iss: signer.DID, Sub: c.holder,
		Iat: now.Unix(), Nbf: now.Unix(), Exp: now.Add(livenessLifetime).Unix(),
		VC: credentialBody{
			Context: []string{contextCredentials}, Type: []string{typeCredential, livenessType},
			Subject: map[string]any{
				"nonce": c.nonce, "sourceDescriptor": c.descriptor, "sourcePhotoClaimName": c.photoClaim,
				"sourceVcJti": c.cardID, "matchConfidenceScore": c.score, "sourcePhotoQuality": c.quality,
			},
		},
	})
}

// judgeFaceCheck finds the liveness credential for a card among what was presented and compares its score.
func judgeFaceCheck(who *idToken, descriptor string, want *FaceCheck, card *credential, presented []*credential) (*faceCheckResult, *callbackError) {
	if card.claims()[want.PhotoClaim] == "" {
		return nil, &callbackError{Code: errorClaimValidation, Message: "The presented verifiable credential has no claim '" + want.PhotoClaim + "'."}
	}
	for _, c := range presented {
		subject := c.VC.Subject
		if c.Iss != FaceCheckAuthority || c.typeName() != livenessType || subject["nonce"] != who.Nonce ||
			subject["sourceVcJti"] != card.JTI || subject["sourceDescriptor"] != descriptor || subject["sourcePhotoClaimName"] != want.PhotoClaim {
			continue
		}
		score, _ := subject["matchConfidenceScore"].(float64) // signed by us; a missing one is 0 and fails
		quality, _ := subject["sourcePhotoQuality"].(string)  // optional
		if score < float64(want.Threshold) {
			return nil, &callbackError{Code: errorClaimValidation, Message: messageFaceCheck}
		}
		return &faceCheckResult{Score: score, Quality: quality}, nil
	}
	return nil, &callbackError{Code: errorToken, Message: "The presentation holds no Face Check for the credential."}
}

// faceCheckReceipt is one entry of the Face Check receipt.
type faceCheckReceipt struct {
	SourceJTI string  `json:"sourceVcJti"`
	Threshold int     `json:"matchConfidenceThreshold"`
	Score     float64 `json:"matchConfidenceScore"`
	Quality   string  `json:"sourcePhotoQuality"`
}

// receiptOf makes the receipt of a verified presentation. vp_token is a string when there was one presentation.
func (e *Emulator) receiptOf(r *request, who *idToken, id string, vps []string, checks []faceCheckReceipt) (*receipt, error) {
	out := &receipt{IDToken: id, VPToken: vps, State: r.state}
	if len(vps) == 1 {
		out.VPToken = vps[0]
	}
	if len(checks) == 0 {
		return out, nil
	}
	now := e.Now()
	var err error
	out.FaceCheck, err = e.faceCheck.sign(credential{
		JTI: "urn:pic:" + e.rand.hex(16), Iss: FaceCheckAuthority, Sub: who.Sub,
		Iat: now.Unix(), Nbf: now.Unix(), Exp: now.Add(livenessLifetime).Unix(),
		VC: credentialBody{
			Context: []string{contextCredentials}, Type: []string{typeCredential, typeFaceReceipt},
			Subject: map[string]any{"faceCheckResults": checks},
		},
	})
	return out, err
}
