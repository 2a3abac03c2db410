// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// tokenScope is the Request Service's own (Microsoft, "Request Service REST API").
	tokenScope = "3db474b9-6a0c-4840-96ac-1fceb342124f/.default"

	createIssuancePath = "/v1.0/verifiableCredentials/createIssuanceRequest"

	// tokenMargin is how long before its end a token is replaced.
	tokenMargin = 5 * time.Minute

	maxAnswerBytes = 1 << 20
)

// Account is an application registration at the token endpoint, allowed to issue.
type Account struct {
	// TokenURL is the full URL of the token endpoint:
	// "https://localhost:8091/fabrikam-idv.example/oauth2/v2.0/token".
	TokenURL string

	ClientID, ClientSecret string
}

func (a Account) validate() error {
	if err := checkURL(a.TokenURL); err != nil {
		return fmt.Errorf("token URL %q: %w", a.TokenURL, err)
	}
	if a.ClientID == "" || a.ClientSecret == "" {
		return errors.New("client ID and client secret are needed")
	}
	return nil
}

// The wire types of createIssuanceRequest ("issuance request API").
type (
	issuanceRequest struct {
		Authority     string            `json:"authority"`
		IncludeQRCode bool              `json:"includeQRCode"`
		Registration  registration      `json:"registration"`
		Callback      callbackTarget    `json:"callback"`
		Type          string            `json:"type"`
		Manifest      string            `json:"manifest"`
		Claims        map[string]string `json:"claims"`
		PIN           *pin              `json:"pin,omitempty"`
	}
	registration struct {
		ClientName string `json:"clientName"`
	}
	callbackTarget struct {
		URL     string            `json:"url"`
		State   string            `json:"state"`
		Headers map[string]string `json:"headers"`
	}
	pin struct {
		Value  string `json:"value"`
		Length int    `json:"length"`
		Type   string `json:"type"`
	}
	issuanceResponse struct {
		RequestID string `json:"requestId"`
		URL       string `json:"url"`
		Expiry    int64  `json:"expiry"`
	}
	serviceError struct {
		RequestID string `json:"requestId"`
		Error     struct {
			Code       string `json:"code"`
			Message    string `json:"message"`
			InnerError struct {
				Code    string `json:"code"`
				Message string `json:"message"`
				Target  string `json:"target"`
			} `json:"innererror"`
		} `json:"error"`
	}
)

// requestService calls the service with tokens it keeps, one for each account.
type requestService struct {
	url         string
	client      *http.Client
	tokenClient *http.Client
	now         func() time.Time

	mu     sync.Mutex
	grants map[Account]grant
}

type grant struct {
	token   string
	expires time.Time
}

// createIssuance asks for an issuance. Errors are written for the person at the emulator: they
// name what the service said, and contain no secret.
func (s *requestService) createIssuance(ctx context.Context, account Account, body issuanceRequest) (issuanceResponse, error) {
	token, err := s.accessToken(ctx, account)
	if err != nil {
		return issuanceResponse{}, fmt.Errorf("getting an access token: %w", err)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return issuanceResponse{}, fmt.Errorf("writing the issuance request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+createIssuancePath, bytes.NewReader(text))
	if err != nil {
		return issuanceResponse{}, fmt.Errorf("creating issuance request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	answer, status, err := exchange(s.client, req)
	if err != nil {
		return issuanceResponse{}, fmt.Errorf("creating issuance request: %w", err)
	}
	if status == http.StatusUnauthorized {
		s.forget(account)
	}
	if status != http.StatusCreated {
		return issuanceResponse{}, fmt.Errorf("creating issuance request: the service answered %d%s", status, explain(answer))
	}
	var made issuanceResponse
	if err := json.Unmarshal(answer, &made); err != nil || made.RequestID == "" || made.URL == "" || made.Expiry == 0 {
		return issuanceResponse{}, errors.New("creating issuance request: the service's answer lacks requestId, url or expiry")
	}
	return made, nil
}

func (s *requestService) accessToken(ctx context.Context, account Account) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g, ok := s.grants[account]; ok && s.now().Add(tokenMargin).Before(g.expires) {
		return g.token, nil
	}
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {account.ClientID},
		"client_secret": {account.ClientSecret},
		"scope":         {tokenScope},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, account.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, status, err := exchange(s.tokenClient, req)
	if err != nil {
		return "", err
	}
	var granted struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(answer, &granted); err != nil {
		return "", fmt.Errorf("the endpoint answered %d without JSON", status)
	}
	if status != http.StatusOK || granted.AccessToken == "" {
		return "", fmt.Errorf("the endpoint answered %d %s: %s", status, granted.Error, granted.Description)
	}
	s.grants[account] = grant{granted.AccessToken, s.now().Add(time.Duration(granted.ExpiresIn) * time.Second)}
	return granted.AccessToken, nil
}

// forget drops a token that the service refused, so that the next try gets a fresh one.
func (s *requestService) forget(account Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.grants, account)
}

func exchange(client *http.Client, req *http.Request) (body []byte, status int, err error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, 0, fmt.Errorf("reading the answer: %w", err)
	}
	return body, resp.StatusCode, nil
}

// explain takes the useful part out of an error body.
func explain(body []byte) string {
	var e serviceError
	if json.Unmarshal(body, &e) != nil || e.Error.Code == "" {
		return ""
	}
	text := " " + e.Error.Code
	if e.Error.InnerError.Message != "" {
		text += ": " + e.Error.InnerError.Message
	}
	if e.Error.InnerError.Target != "" {
		text += " (" + e.Error.InnerError.Target + ")"
	}
	return text
}
