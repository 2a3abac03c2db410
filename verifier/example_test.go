// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// staticToken stands for a source that asks Microsoft Entra.
type staticToken string

func (s staticToken) Token(context.Context, string) (string, error) { return string(s), nil }

func ExampleClient_CreatePresentationRequest() {
	// A stand-in for the Request Service.
	service := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		link := "openid-vc://?request_uri=https://" + r.Host + "/c4b1f0de"
		_ = json.NewEncoder(w).Encode(map[string]any{"requestId": "c4b1f0de", "url": link, "expiry": 1768471500})
	}))
	defer service.Close()
	roots := x509.NewCertPool()
	roots.AddCert(service.Certificate())

	client, err := verifier.NewClient(verifier.ClientConfig{
		ServiceURL: service.URL,
		Tokens:     staticToken("access token"),
		RootCAs:    roots,
		Now:        func() time.Time { return time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	want := verifier.Requirement{
		Credential:      "employee",
		Type:            "VerifiedEmployee",
		AcceptedIssuers: []string{"did:web:verifiedid.contoso.example"},
		FaceCheck:       &verifier.FaceCheckRequirement{SourcePhotoClaim: "photo", Threshold: 70},
		Keep:            []string{"displayName", "mail"},
	}
	if err := want.Validate(); err != nil {
		fmt.Println(err)
		return
	}
	created, err := client.CreatePresentationRequest(context.Background(), verifier.PresentationRequest{
		Authority:    "did:web:verifiedid.contoso.example",
		Registration: verifier.Registration{ClientName: "Contoso Payroll", Purpose: "Open payroll"},
		Callback: verifier.CallbackTarget{
			URL:     "https://payroll.contoso.example/.verified-id/callback",
			State:   "random state",
			Headers: map[string]string{"Authorization": "Bearer random callback key"},
		},
		RequestedCredentials: []verifier.RequestedCredential{want.RequestedCredential()},
	}, "AAAAAAAAAAAAAAAAAAAAAA.1")
	if serviceError := (*verifier.ServiceError)(nil); errors.As(err, &serviceError) {
		fmt.Println("operator:", serviceError.Operator())
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	link, _, _ := strings.Cut(created.DeepLink, "=")
	fmt.Println(created.RequestID, link, created.Expires.Format(time.TimeOnly))
	// Output: c4b1f0de openid-vc://?request_uri 10:05:00
}

func ExampleEvaluate() {
	want := verifier.Requirement{
		Credential:      "employee",
		Type:            "VerifiedEmployee",
		AcceptedIssuers: []string{"did:web:verifiedid.contoso.example"},
		FaceCheck:       &verifier.FaceCheckRequirement{SourcePhotoClaim: "photo", Threshold: 70},
		Keep:            []string{"displayName"},
	}
	const body = `{
		"requestId": "c4b1f0de", "requestStatus": "presentation_verified", "state": "random state", "subject": "did:ion:holder",
		"verifiedCredentialsData": [{
			"issuer": "did:web:verifiedid.contoso.example", "type": ["VerifiableCredential", "VerifiedEmployee"],
			"claims": {"displayName": "Ana Lima", "mail": "ana.lima@contoso.example", "photo": "%2F9j%2F4AAQ…"},
			"credentialState": {"revocationStatus": "VALID"},
			"expirationDate": "2026-06-30T10:00:00Z",
			"faceCheck": {"matchConfidenceScore": 86.314159, "sourcePhotoQuality": "HIGH"}
		}]
	}`
	now := time.Date(2026, 1, 15, 10, 2, 0, 0, time.UTC)

	got, err := verifier.ParseCallback(strings.NewReader(body), want.NeededClaims())
	if err != nil {
		fmt.Println(err)
		return
	}
	presentation, err := verifier.Evaluate(want, got, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	name, _ := presentation.Claim("displayName")
	_, photo := presentation.Claim("photo")
	fmt.Println(name, presentation.FaceScore, "photo kept:", photo)

	// The bar is raised, and the same presentation no longer suffices.
	higher := want
	higher.FaceCheck = &verifier.FaceCheckRequirement{SourcePhotoClaim: "photo", Threshold: 90}
	fmt.Println(want.Meets(&presentation, time.Hour, now) == "", higher.Meets(&presentation, time.Hour, now))
	_, err = verifier.Evaluate(higher, got, now)
	fmt.Println(err)
	// Output:
	// Ana Lima 86.314159 photo kept: false
	// true face_check_low
	// presentation refused: face_check_low
}

func ExampleTransaction() {
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	store := verifier.NewMemoryStore(verifier.MemoryConfig{Now: func() time.Time { return now }})
	defer store.Close()
	ctx := context.Background()

	_ = store.Create(ctx, verifier.Transaction{
		ID: "random ID", State: "random state", Status: verifier.StatusCreated, Created: now, Expires: now.Add(5 * time.Minute),
	})
	move := func(fn func(*verifier.Transaction) error) {
		t, err := store.Update(ctx, "random ID", fn)
		fmt.Println(t.Status, err)
	}
	move(func(t *verifier.Transaction) error {
		return t.Requested("c4b1f0de", "openid-vc://…", now.Add(5*time.Minute))
	})
	move(func(t *verifier.Transaction) error { return t.Retrieved(now) })
	move(func(t *verifier.Transaction) error { return t.Verified(verifier.Presentation{}, [32]byte{1}, now) })
	move(func(t *verifier.Transaction) error { return t.Fail(verifier.ReasonServiceRefused, now) })
	move(func(t *verifier.Transaction) error { _, err := t.Consume("session ID", now); return err })
	// Output:
	// created <nil>
	// retrieved <nil>
	// verified <nil>
	// verified illegal move of a transaction
	// consumed <nil>
}
