// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// letter is a callback as the service sends it, of which copies for other transactions are made.
type letter map[string]any

// letterOf takes the final callback of the visit that was last.
func (w *world) letterOf() (letter, error) {
	for _, sent := range slices.Backward(w.emulator.Callbacks()) {
		if sent.RequestStatus == "presentation_verified" {
			var l letter
			return l, json.Unmarshal(sent.Body, &l)
		}
	}
	return nil, errors.New("there was no callback")
}

// filled is where the copy of a letter with filling is cut in two.
const filled = "FILLING"

// copyFor is the body for another transaction, of another holder.
func (l letter) copyFor(t target, holder int, filling bool) ([]byte, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	var other letter
	if err := json.Unmarshal(text, &other); err != nil {
		return nil, err
	}
	other["requestId"], other["state"] = t.requestID, t.State
	other["subject"] = fmt.Sprintf("did:jwk:holder%08d", holder)
	cards, _ := other["verifiedCredentialsData"].([]any)
	if len(cards) == 0 {
		return nil, errors.New("the callback names no credential")
	}
	card, _ := cards[0].(map[string]any)
	claims, _ := card["claims"].(map[string]any)
	if claims == nil {
		return nil, errors.New("the callback names no claims")
	}
	claims["mail"] = fmt.Sprintf("holder.%08d@contoso.example", holder)
	if filling {
		claims["attachment"] = filled
	}
	return json.Marshal(other)
}

// post sends a callback to where the transaction's go. Filling goes in place of the word for it.
func (w *world) post(ctx context.Context, c *wire, t target, body, filling []byte) string {
	at, err := url.Parse(t.URL)
	if err != nil {
		return "callback: " + err.Error()
	}
	headers := []string{"Content-Type: application/json; charset=utf-8", "X-Forwarded-For: 192.0.2.1"}
	for name, value := range t.Headers {
		headers = append(headers, name+": "+value)
	}
	var answer reply
	if filling == nil {
		answer, err = c.do(ctx, request(http.MethodPost, at.Host, at.RequestURI(), string(body), headers...))
	} else {
		before, after, _ := bytes.Cut(body, []byte(filled))
		length := len(before) + len(filling) + len(after)
		head := strings.Replace(string(request(http.MethodPost, at.Host, at.RequestURI(), "", headers...)), "Content-Length: 0", fmt.Sprintf("Content-Length: %d", length), 1)
		answer, err = c.once(ctx, []byte(head), before, filling, after)
	}
	switch {
	case err != nil:
		return "callback: " + failure(err)
	case answer.status < 200 || answer.status > 299:
		return fmt.Sprintf("callback: %d", answer.status)
	}
	return good
}
