// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// A relying party in any language needs nothing but the two origins. Here it is a few lines of net/http.
func Example() {
	service, token := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	e, err := emulator.New(emulator.Config{
		PublicURL: "http://" + service.Listener.Addr().String(),
		TokenURL:  "https://" + token.Listener.Addr().String(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	service.Config.Handler, token.Config.Handler = e.ServiceHandler(), e.TokenHandler()
	if token.TLS, err = e.CA().TLSConfig(); err != nil {
		fmt.Println(err)
		return
	}
	service.Start()
	token.StartTLS()
	party := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var callback struct{ RequestStatus string }
		if err := json.NewDecoder(r.Body).Decode(&callback); err == nil {
			fmt.Println("callback:", callback.RequestStatus)
		}
	}))
	defer func() {
		_ = e.Close()
		service.Close()
		token.Close()
		party.Close()
	}()

	// The person's phone.
	if err := e.IssueDemoCards(e.Wallet()); err != nil {
		fmt.Println(err)
		return
	}

	// The relying party.
	client := token.Client()
	client.Transport.(*http.Transport).TLSClientConfig.RootCAs = e.CA().Pool() //nolint:forcetypeassert // httptest's own
	access := send(client, e.TokenURL()+"/"+emulator.DemoTenant+"/oauth2/v2.0/token", "application/x-www-form-urlencoded", "", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {emulator.DemoClientID}, "client_secret": {emulator.DemoClientSecret},
		"scope": {"3db474b9-6a0c-4840-96ac-1fceb342124f/.default"},
	}.Encode())
	created := send(client, e.PublicURL()+"/v1.0/verifiableCredentials/createPresentationRequest", "application/json", access["access_token"].(string), //nolint:forcetypeassert // an example
		`{"authority":"did:web:verifiedid.contoso.example","registration":{"clientName":"Contoso Payroll"},
		  "callback":{"url":"`+party.URL+`","state":"random","headers":{"api-key":"random"}},
		  "requestedCredentials":[{"type":"VerifiedIdentity","acceptedIssuers":["did:web:did.fabrikam-idv.example"],
		    "configuration":{"validation":{"validateLinkedDomain":true,"faceCheck":{"sourcePhotoClaimName":"portrait","matchConfidenceThreshold":80}}}}]}`)

	// The person scans the code, chooses the card, holds the phone before his face and shares.
	offer, err := e.Wallet().Open(context.Background(), created["url"].(string)) //nolint:forcetypeassert // an example
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(offer.VerifierName, "wants", offer.Wanted[0].Type, "and a face score of", offer.Wanted[0].FaceCheck.Threshold)
	outcome, err := offer.Share(context.Background(), emulator.ShareOptions{FaceScore: 62})
	fmt.Println(outcome.Message, err)

	// Output:
	// callback: request_retrieved
	// Contoso Payroll wants VerifiedIdentity and a face score of 80
	// callback: presentation_error
	// Match confidence score failing to meet the threshold. <nil>
}

func send(client *http.Client, target, contentType, bearer, body string) map[string]any {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		return nil
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Authorization", "Bearer "+bearer)
	answer, err := client.Do(request)
	if err != nil {
		return nil
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil
	}
	var decoded map[string]any
	if err := json.Unmarshal(raw, &decoded); err != nil {
		return nil
	}
	return decoded
}
