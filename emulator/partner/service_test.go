// SPDX-License-Identifier: Apache-2.0

package partner_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/jpeg"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeService answers the token endpoint and createIssuanceRequest, and is strict: a field
// that no document names, or a missing one, fails the test.
type fakeService struct {
	server *httptest.Server
	f      *fixture

	mu       sync.Mutex
	tokens   int
	received []received
	refuse   int // status to refuse the next issuance with; 0: none
}

type received struct {
	Authority     string `json:"authority"`
	IncludeQRCode bool   `json:"includeQRCode"`
	Registration  struct {
		ClientName string `json:"clientName"`
	} `json:"registration"`
	Callback struct {
		URL     string            `json:"url"`
		State   string            `json:"state"`
		Headers map[string]string `json:"headers"`
	} `json:"callback"`
	Type     string            `json:"type"`
	Manifest string            `json:"manifest"`
	Claims   map[string]string `json:"claims"`
	PIN      *struct {
		Value  string `json:"value"`
		Length int    `json:"length"`
		Type   string `json:"type"`
	} `json:"pin"`

	requestID string
}

func newFakeService(t *testing.T, f *fixture) *fakeService {
	s := &fakeService{f: f}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tokens++
		if r.PostFormValue("client_secret") != "secret" || r.PostFormValue("grant_type") != "client_credentials" ||
			r.PostFormValue("scope") != "3db474b9-6a0c-4840-96ac-1fceb342124f/.default" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}`)
			return
		}
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3599,"access_token":"token-%d"}`, s.tokens)
	})
	mux.HandleFunc("POST /v1.0/verifiableCredentials/createIssuanceRequest", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer token-") {
			t.Errorf("Authorization = %q", r.Header.Get("Authorization"))
		}
		if s.refuse != 0 {
			w.WriteHeader(s.refuse)
			_, _ = io.WriteString(w, `{"requestId":"r","error":{"code":"badRequest","message":"The request is invalid.","innererror":{"code":"badOrMissingField","message":"The request does not contain a valid authority DID.","target":"authority"}}}`)
			s.refuse = 0
			return
		}
		var got received
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&got); err != nil {
			t.Errorf("issuance request: %v", err)
		}
		got.requestID = fmt.Sprintf("request-%d", len(s.received))
		s.received = append(s.received, got)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"requestId":%q,"url":"openid-vc://?request_uri=%s/requests/%s","expiry":%d}`,
			got.requestID, s.server.URL, got.requestID, f.clock().Add(5*time.Minute).Unix())
	})
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	return s
}

func (s *fakeService) last(t *testing.T) received {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.received) == 0 {
		t.Fatal("the service received no issuance request")
	}
	return s.received[len(s.received)-1]
}

// callback posts to the partner as the service does; change edits what is sent.
func (s *fakeService) callback(t *testing.T, status string, change func(body map[string]any, h http.Header)) int {
	t.Helper()
	got := s.last(t)
	body := map[string]any{"requestId": got.requestID, "requestStatus": status, "state": got.Callback.State}
	header := http.Header{"Content-Type": {"application/json"}}
	for name, value := range got.Callback.Headers {
		header.Set(name, value)
	}
	if change != nil {
		change(body, header)
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, got.Callback.URL, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	return s.f.do(t, req).status
}

// TestIssuanceRequest looks at what goes over the wire: the documented fields, a key and a
// state of its own for every request, and a photo that Face Check would take.
func TestIssuanceRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	var keys, states []string
	for range 2 {
		path := f.begin(t, minimal())
		f.post(t, path+"/document", documentForm("VerifiedIdentity"))
		f.post(t, path+"/selfie", nil)
		got := f.service.last(t)
		keys = append(keys, got.Callback.Headers["api-key"])
		states = append(states, got.Callback.State)
	}
	if keys[0] == keys[1] || states[0] == states[1] || len(keys[0]) < 22 || len(states[0]) < 22 {
		t.Errorf("keys %q and states %q are not one for each request and at least 128 bits", keys, states)
	}
	if f.service.tokens != 1 {
		t.Errorf("token requests = %d, want 1: the token is to be kept", f.service.tokens)
	}

	got := f.service.last(t)
	if got.Authority != "did:web:did.fabrikam-idv.example" || got.Type != "VerifiedIdentity" || got.PIN != nil {
		t.Errorf("authority, type, pin = %q, %q, %v", got.Authority, got.Type, got.PIN)
	}
	if got.Claims["firstName"] != "Ana" || got.Claims["fullName"] != "Ana Lima" || got.Claims["dateOfBirth"] != "1990-04-12" {
		t.Errorf("claims = %v", got.Claims)
	}
	text, err := url.QueryUnescape(got.Claims["portrait"])
	if err != nil || !strings.HasPrefix(got.Claims["portrait"], "%2F9j%2F") {
		t.Fatalf("portrait begins %.12q, want a percent-encoded JPEG; %v", got.Claims["portrait"], err)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := jpeg.DecodeConfig(bytes.NewReader(raw))
	if err != nil || picture.Width < 200 || picture.Height < 200 {
		t.Errorf("portrait is %d by %d, want at least 200 by 200; %v", picture.Width, picture.Height, err)
	}
}
