// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"encoding/json"
	"maps"
	"strings"
)

// spoil makes a callback arrive as a fault wants it.
func (e *Emulator) spoil(m *message, fault CallbackFault, body callbackBody) {
	if fault.ErrorCode != "" && body.RequestStatus != statusRetrieved {
		m.requestStatus = statusPresentationError
		if body.RequestStatus == statusIssued || body.RequestStatus == statusIssuanceError {
			m.requestStatus = statusIssuanceError
		}
		body = callbackBody{
			RequestID: body.RequestID, RequestStatus: m.requestStatus, State: body.State,
			Error: &callbackError{Code: fault.ErrorCode, Message: "Synthetic: made by a fault of the emulator."},
		}
	}
	if fault.UnknownState {
		body.State = e.rand.opaque()
	}
	if fault.WrongRequestID {
		body.RequestID = e.rand.uuid()
		m.requestID = body.RequestID
	}
	if fault.LongSubject && body.Subject != "" {
		body.Subject += strings.Repeat("A", 750)
	}
	body.Credentials = spoilCredentials(body.Credentials, fault)
	for name := range m.request.callback.headers {
		switch {
		case fault.NoKey:
			m.header.Del(name)
		case fault.WrongKey:
			m.header.Set(name, e.rand.hex(16))
		}
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		panic("emulator: " + err.Error()) // the same type was encoded a moment ago
	}
	if fault.ExtraFields {
		encoded = withExtraFields(encoded)
	}
	if fault.Truncate {
		encoded = encoded[:len(encoded)/2]
	}
	m.body = encoded
}

// spoilCredentials works on copies: the maps belong to cards.
func spoilCredentials(from []verifiedCredential, fault CallbackFault) []verifiedCredential {
	out := make([]verifiedCredential, len(from))
	for i, c := range from {
		c.Claims = maps.Clone(c.Claims)
		maps.Copy(c.Claims, fault.Claims)
		if fault.HugeClaims > 0 {
			c.Claims["emulatorHugeClaim"] = strings.Repeat("x", fault.HugeClaims)
		}
		if fault.OmitOptional {
			c.DomainValidation, c.IssuanceDate, c.ExpirationDate = nil, "", ""
			if c.FaceCheck != nil {
				c.FaceCheck = &faceCheckResult{Score: c.FaceCheck.Score}
			}
		}
		if fault.OmitFaceCheck {
			c.FaceCheck = nil
		}
		out[i] = c
	}
	return out
}

// withExtraFields adds unknown members to every object except the claims, whose names are the card's own.
func withExtraFields(encoded []byte) []byte {
	var tree map[string]any
	if err := json.Unmarshal(encoded, &tree); err != nil {
		panic("emulator: " + err.Error()) // it was encoded a moment ago
	}
	addExtra(tree)
	out, err := json.Marshal(tree)
	if err != nil {
		panic("emulator: " + err.Error())
	}
	return out
}

func addExtra(node any) {
	switch node := node.(type) {
	case map[string]any:
		for name, value := range node {
			if name != "claims" {
				addExtra(value)
			}
		}
		node["emulatorExtra"] = map[string]any{"nested": []any{1, "two", nil, true}}
	case []any:
		for _, value := range node {
			addExtra(value)
		}
	}
}
