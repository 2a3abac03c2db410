// SPDX-License-Identifier: Apache-2.0

package verifiertest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
	"github.com/caddy-verified-id/caddy-verified-id/verifier/verifiertest"
)

var identity = verifier.Requirement{
	Credential:      "identity",
	Type:            "VerifiedIdentity",
	AcceptedIssuers: []string{emulator.PartnerAuthority},
	FaceCheck:       &verifier.FaceCheckRequirement{SourcePhotoClaim: "portrait", Threshold: 80},
	Keep:            []string{"fullName"},
	Purpose:         "Open payroll",
}

// relyingParty is the least that a user of package verifier writes: it evaluates what it is called back with.
type relyingParty struct {
	presentation verifier.Presentation
	reason       verifier.Reason
	statuses     []string
}

func (p *relyingParty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	callback, err := verifier.ParseCallback(r.Body, identity.NeededClaims())
	if err != nil || r.Header.Get("Api-Key") != "callback key" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	p.statuses = append(p.statuses, string(callback.Status))
	switch callback.Status {
	case verifier.StatusPresentationVerified:
		p.presentation, err = verifier.Evaluate(identity, callback, time.Now())
		if refusal, ok := errors.AsType[*verifier.Refusal](err); ok {
			p.reason = refusal.Reason
		}
	case verifier.StatusPresentationError:
		p.reason = verifier.ReasonOfError(identity, *callback.Error)
	default:
	}
}

func request(server *verifiertest.Server, callbackURL string) verifier.PresentationRequest {
	return verifier.PresentationRequest{
		Authority:            server.Authority,
		Registration:         verifier.Registration{ClientName: "Contoso Payroll", Purpose: identity.Purpose},
		Callback:             verifier.CallbackTarget{URL: callbackURL, State: "state", Headers: map[string]string{"api-key": "callback key"}},
		RequestedCredentials: []verifier.RequestedCredential{identity.RequestedCredential()},
	}
}

// TestThreeLines shows how little a test needs for a whole presentation with real signatures.
func TestThreeLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		score  float64
		reason verifier.Reason
	}{
		{"passes", 86.5, ""},
		{"fails the Face Check", 79.9, verifier.ReasonFaceCheckFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			party := new(relyingParty)
			callbackURL := verifiertest.Receiver(t, party)

			server := verifiertest.NewServer(t)
			created, err := server.Client().CreatePresentationRequest(t.Context(), request(server, callbackURL), "AAAAAAAAAAAAAAAAAAAAAA.1")
			if err != nil {
				t.Fatal(err)
			}
			outcome := server.Share(created.DeepLink, emulator.ShareOptions{FaceScore: c.score})

			if outcome.Accepted != (c.reason == "") || party.reason != c.reason {
				t.Fatalf("outcome = %+v, reason %q, want %q", outcome, party.reason, c.reason)
			}
			if c.reason != "" {
				return
			}
			if got, want := strings.Join(party.statuses, " "), "request_retrieved presentation_verified"; got != want {
				t.Errorf("callbacks = %q, want %q", got, want)
			}
			if name, _ := party.presentation.Claim("fullName"); name != "Ana Lima" || party.presentation.FaceScore != c.score {
				t.Errorf("presentation = %+v, want Ana Lima", party.presentation)
			}
		})
	}
}

// TestForgedCallbackIsRefused takes the Face Check out of a callback on its way: what the service reports is compared
// with what was asked for. TM-070.
func TestForgedCallbackIsRefused(t *testing.T) {
	t.Parallel()
	party := new(relyingParty)
	callbackURL := verifiertest.Receiver(t, party)
	server := verifiertest.NewServer(t, nil)
	created, err := server.Client().CreatePresentationRequest(t.Context(), request(server, callbackURL), "AAAAAAAAAAAAAAAAAAAAAA.1")
	if err != nil {
		t.Fatal(err)
	}
	server.Faults().InjectCallback(emulator.CallbackFault{OmitFaceCheck: true})
	server.Share(created.DeepLink, emulator.ShareOptions{})
	if party.reason == "" || party.presentation.Credential != "" {
		t.Errorf("reason = %q, presentation = %+v, want it refused", party.reason, party.presentation)
	}
}

// TestExpiredTokenIsRenewed moves the clock past the life of an access token.
func TestExpiredTokenIsRenewed(t *testing.T) {
	t.Parallel()
	callbackURL := verifiertest.Receiver(t, new(relyingParty))
	now := time.Now()
	server := verifiertest.NewServer(t, func(c *emulator.Config) { c.Now = func() time.Time { return now } })
	client := server.Client()
	for range 2 {
		if _, err := client.CreatePresentationRequest(t.Context(), request(server, callbackURL), "AAAAAAAAAAAAAAAAAAAAAA.1"); err != nil {
			t.Fatal(err)
		}
		now = now.Add(2 * time.Hour)
	}
	if got := len(server.RequestsTo(emulator.APIToken)); got != 2 {
		t.Errorf("%d tokens were asked for, want 2", got)
	}
}

func TestOwnCast(t *testing.T) {
	t.Parallel()
	server := verifiertest.NewServer(t, func(c *emulator.Config) {
		c.Authorities = []emulator.Authority{{DID: "did:web:id.city.test"}}
		c.Clients = []emulator.Client{{ID: "app", Secret: "s"}}
		c.Contracts = []emulator.Contract{{Type: "LibraryCard", Issuer: "did:web:id.city.test"}}
	})
	if server.Authority != "did:web:id.city.test" || server.ClientID != "app" || len(server.Wallet().Cards()) != 0 {
		t.Errorf("server = %+v, want the own cast and no cards", server)
	}
	if _, err := server.Tokens().Token(t.Context(), ""); err != nil {
		t.Errorf("Token() = %v", err)
	}
	server.ClientSecret = "wrong"
	if _, err := server.Tokens().Token(t.Context(), ""); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("Token() with a wrong secret = %v, want an error that does not hold it", err)
	}
}
