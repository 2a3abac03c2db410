// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// A relying party redirects a visitor to its partner.
func ExamplePartner_Kickstart() {
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

	// Once: a key, kept in storage, and the set that says when it signs. JWKS is what partners fetch.
	key, err := idvredirect.GenerateSigningKey(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := idvredirect.NewKeySet(now, key)
	if err != nil {
		fmt.Println(err)
		return
	}

	// From the configuration: the partner as agreed at onboarding.
	start, err := idvredirect.ParseURLTemplate("https://idv.example/contoso/?token={token}", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	partner := idvredirect.Partner{
		Name: "fabrikam", URL: start, OrgID: "contoso-payroll", Issuer: "https://payroll.contoso.example",
	}

	// For each visit: a fresh request ID, a redirect.
	requestID, err := idvredirect.NewRequestID(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	location, err := partner.Kickstart(keys.Signing(now), requestID, "https://payroll.contoso.example/.verified-id/return", now, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	w.Header().Set("Location", location)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)

	u, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(w.Code, u.Host, u.Path, u.Query().Has("token"))
	// Output: 303 idv.example /contoso/ true
}

// A partner receives a visitor. The config is made once for each relying party, here from its published keys.
func ExampleVerify() {
	now := time.Date(2026, 1, 15, 10, 2, 0, 0, time.UTC)
	publishedKeys, token := fromRelyingParty(now)

	keys, err := idvredirect.ParseJWKS(publishedKeys)
	if err != nil {
		fmt.Println(err)
		return
	}
	contoso := idvredirect.VerifyConfig{
		Keys:         keys,
		OrgIDs:       []string{"contoso-payroll"},
		RedirectURLs: []string{"https://payroll.contoso.example/.verified-id/return"},
		Issuer:       "https://payroll.contoso.example",
		Audience:     "https://idv.example",
		OneTime:      idvredirect.NewMemoryOneTimeStore(0, func() time.Time { return now }), // several servers share one
		Now:          func() time.Time { return now },                                       // left out: the time it is
	}
	start := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		values := r.URL.Query()["token"]
		if len(values) != 1 {
			http.Error(w, "This link is not complete.", http.StatusBadRequest)
			return
		}
		claims, err := idvredirect.Verify(r.Context(), values[0], contoso)
		switch {
		case err == nil:
			fmt.Println("proofing begins for", claims.OrgID, "and will end at", claims.RedirectURL)
			http.Redirect(w, r, "/proofing", http.StatusSeeOther) // without the token
		case errors.Is(err, idvredirect.ErrToken):
			fmt.Println(err)
			http.Error(w, "This link is not valid any more. Go back to where you came from and begin again.", http.StatusBadRequest)
		default:
			http.Error(w, "We cannot check the link now. Try again in a minute.", http.StatusServiceUnavailable)
		}
	})

	// The visitor comes twice with the same link.
	for range 2 {
		w := httptest.NewRecorder()
		start.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "https://idv.example/contoso/?token="+token, http.NoBody))
		fmt.Println(w.Code)
	}
	// Output:
	// proofing begins for contoso-payroll and will end at https://payroll.contoso.example/.verified-id/return
	// 303
	// kickstart token refused: it has been used before
	// 400
}

// A server takes the vector of a request on, or begins one.
func ExampleCorrelationVector() {
	// The base is fixed here to have the same output each time; give nil for random.
	random := bytes.NewReader([]byte("a fixed example!"))

	incoming, err := idvredirect.ParseCorrelationVector("PmvzQKgYek6Sdk/T5sWaqw.1")
	if err != nil {
		incoming, err = idvredirect.NewCorrelationVector(random)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	here := incoming.Extend()
	fmt.Println(here)
	for range 2 { // two outgoing calls
		here = here.Increment()
		fmt.Println(here)
	}

	// What is no vector is not repeated: a new one begins.
	if _, err := idvredirect.ParseCorrelationVector("<script>"); err != nil {
		fmt.Println(err)
	}
	seeded, err := idvredirect.NewCorrelationVector(random)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(seeded)
	// Output:
	// PmvzQKgYek6Sdk/T5sWaqw.1.0
	// PmvzQKgYek6Sdk/T5sWaqw.1.1
	// PmvzQKgYek6Sdk/T5sWaqw.1.2
	// not a correlation vector of version 2.1 or 3.0
	// YSBmaXhlZCBleGFtcGxlIQ.0
}

// A key set is rotated by storing the new one. Its first use comes when every partner has had time to fetch it.
func ExampleKeySet_Rotate() {
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	keys, err := idvredirect.NewKeySet(now, signingKey(0))
	if err != nil {
		fmt.Println(err)
		return
	}
	later := now.Add(90 * 24 * time.Hour)
	if !keys.RotationDue(later, 90*24*time.Hour) {
		return
	}
	rotated, err := keys.Rotate(later, signingKey(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	old, fresh := signingKey(0), signingKey(1)
	for _, at := range []time.Duration{0, time.Hour, 2 * time.Hour, 3 * time.Hour} {
		signing := rotated.Signing(later.Add(at))
		published, err := idvredirect.ParseJWKS(rotated.JWKS(later.Add(at)))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("after %v: the new key signs: %v, the old one is published: %v\n", at, signing == fresh, published[old.KeyID()] != nil)
	}
	// Output:
	// after 0s: the new key signs: false, the old one is published: true
	// after 1h0m0s: the new key signs: false, the old one is published: true
	// after 2h0m0s: the new key signs: true, the old one is published: true
	// after 3h0m0s: the new key signs: true, the old one is published: false
}

// fromRelyingParty is what a relying party publishes and a link it makes.
func fromRelyingParty(now time.Time) (publishedKeys []byte, token string) {
	keys, err := idvredirect.NewKeySet(now, signingKey(0))
	if err != nil {
		panic(err)
	}
	start, err := idvredirect.ParseURLTemplate("https://idv.example/contoso/", "")
	if err != nil {
		panic(err)
	}
	partner := idvredirect.Partner{URL: start, OrgID: "contoso-payroll", Issuer: "https://payroll.contoso.example"}
	token, err = partner.KickstartToken(keys.Signing(now), "k7WqzT0eRkGmX2bVd9LfHA", "https://payroll.contoso.example/.verified-id/return", now, nil)
	if err != nil {
		panic(err)
	}
	return keys.JWKS(now), token
}
