// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// chooser turns fuzzed bytes into choices. Out of bytes, it always chooses the first.
type chooser struct {
	bytes  []byte
	text   string
	number float64
}

func (c *chooser) n(n int) int {
	if len(c.bytes) == 0 {
		return 0
	}
	choice := int(c.bytes[0]) % n
	c.bytes = c.bytes[1:]
	return choice
}

func (c *chooser) of(texts ...string) string {
	if i := c.n(len(texts) + 1); i < len(texts) {
		return texts[i]
	}
	return c.text
}

// evaluation makes a requirement and a callback. With no bytes left they fit each other, so each byte is a deviation.
func (c *chooser) evaluation() *evaluation {
	e := newEvaluation()
	w, g := &e.want, e.credential()
	w.Type = c.of("VerifiedIdentity", "VerifiedEmployee", "VerifiableCredential")
	w.AcceptedIssuers = append(w.AcceptedIssuers, c.of("did:web:a.example", "did:web:b.example"))
	switch c.n(4) {
	case 1:
		w.FaceCheck = nil
	case 2:
		w.FaceCheck.Threshold = 50 + c.n(51)
	case 3:
		w.FaceCheck.SourcePhotoClaim = c.of("portrait", "mail", "photo")
	}
	switch c.n(3) {
	case 1:
		w.LinkedDomains = nil
		w.SkipLinkedDomainCheck = c.n(2) == 1
	case 2:
		w.LinkedDomains = append(w.LinkedDomains, c.of("a.example", "b.example"))
	}
	w.AllowRevoked = c.n(2) == 1
	w.AllowMissingStatus = c.n(2) == 1
	w.MaxCredentialAge = []time.Duration{30 * 24 * time.Hour, 0, time.Second, math.MaxInt64, -1}[c.n(5)]
	switch c.n(5) {
	case 1:
		w.Constraints = nil
	case 2:
		w.Constraints = append(w.Constraints, verifier.Constraint{ClaimName: c.of("fullName", "x"), Contains: c.of("a", "LIMA", "ſ")})
	case 3:
		w.Constraints = append(w.Constraints, verifier.Constraint{ClaimName: c.of("fullName", "x"), StartsWith: c.of("ana", "ANA L")})
	case 4:
		w.Constraints = append(w.Constraints, verifier.Constraint{ClaimName: c.of("country", "x"), Values: []string{c.of("pt", "PT"), c.of("es", "Es")}})
	}
	switch c.n(3) {
	case 1:
		w.RequiredClaims = nil
	case 2:
		w.RequiredClaims = append(w.RequiredClaims, verifier.RequiredClaim{Claim: c.of("fullName", "mail"), Values: []string{c.of("Ana Lima")}})
	}

	e.got.Status = verifier.RequestStatus(c.of("presentation_verified", "presentation_error", "request_retrieved"))
	e.got.Subject = c.of("did:ion:holder", "")
	if c.n(8) == 7 {
		e.got.Error = &verifier.CallbackError{Code: c.text}
	}
	g.Issuer = c.of("did:web:did.fabrikam-idv.example", "did:web:a.example", "did:web:b.example", "did:web:did.fabrikam-idv.example/")
	switch c.n(4) {
	case 1:
		g.Types = append(g.Types, c.of("VerifiedEmployee"))
	case 2:
		g.Types = nil
	case 3:
		g.Types = []string{c.of("VerifiedEmployee", "VerifiedIdentity")}
	}
	g.RevocationStatus = c.of("VALID", "", "REVOKED", "valid")
	g.DomainURL = c.of("https://www.fabrikam-idv.example/", "", "https://a.example", "http://www.fabrikam-idv.example/", "https://WWW.fabrikam-idv.example")
	g.IssuanceDate = c.of("2026-01-12T10:00:00Z", "", date(time.Minute), date(time.Minute+1), "0001-01-01T00:00:00Z")
	g.ExpirationDate = c.of("2026-04-12T10:00:00Z", "", date(-time.Minute), date(-time.Minute-1), "9999-12-31T23:59:59Z")
	switch c.n(4) {
	case 1:
		g.FaceCheck = nil
	case 2:
		g.FaceCheck = &verifier.FaceCheckResult{Score: c.number}
	case 3:
		g.FaceCheck = &verifier.FaceCheckResult{Score: float64(c.n(103) - 1)}
	}
	for i := range g.Claims {
		switch c.n(3) {
		case 1:
			g.Claims[i].Value = c.of("PT", "Ana Lima", "ana@contoso.example", "")
		case 2:
			g.Claims[i].Name = c.of("x") + g.Claims[i].Name
		}
	}
	switch c.n(8) {
	case 6:
		e.got.Credentials = nil
	case 7:
		e.got.Credentials = append(e.got.Credentials, *g)
	}
	return e
}

// withoutProof calls try with callbacks that prove a little less than got. An unknown status or an odd date is no proof: taking
// that away may well help.
func withoutProof(got verifier.Callback, now time.Time, try func(what string, less verifier.Callback)) {
	with := func(what string, change func(*verifier.Callback)) {
		less := got
		less.Credentials = slices.Clone(got.Credentials)
		change(&less)
		try(what, less)
	}
	with("status", func(c *verifier.Callback) { c.Status = "" })
	with("subject", func(c *verifier.Callback) { c.Subject = "" })
	with("all credentials", func(c *verifier.Callback) { c.Credentials = nil })
	for i := range got.Credentials {
		credential := got.Credentials[i]
		one := func(what string, change func(*verifier.VerifiedCredential)) {
			with(what, func(c *verifier.Callback) { change(&c.Credentials[i]) })
		}
		one("issuer", func(c *verifier.VerifiedCredential) { c.Issuer = "" })
		one("domain", func(c *verifier.VerifiedCredential) { c.DomainURL = "" })
		one("face check", func(c *verifier.VerifiedCredential) { c.FaceCheck = nil })
		if credential.RevocationStatus == "VALID" {
			one("revocation status", func(c *verifier.VerifiedCredential) { c.RevocationStatus = "" })
		}
		if issued, err := time.Parse(time.RFC3339, credential.IssuanceDate); err == nil && !issued.IsZero() && !issued.After(now.Add(verifier.Skew)) {
			one("issuance date", func(c *verifier.VerifiedCredential) { c.IssuanceDate = "" })
			one("youth", func(c *verifier.VerifiedCredential) { c.IssuanceDate = issued.AddDate(-1, 0, 0).Format(time.RFC3339) })
		}
		if credential.FaceCheck != nil && credential.FaceCheck.Score >= 0 && credential.FaceCheck.Score <= 100 {
			one("score", func(c *verifier.VerifiedCredential) {
				c.FaceCheck = &verifier.FaceCheckResult{Score: credential.FaceCheck.Score * 0.99}
			})
		}
		for j := range credential.Types {
			one("type", func(c *verifier.VerifiedCredential) { c.Types = slices.Delete(slices.Clone(c.Types), j, j+1) })
		}
		for j := range credential.Claims {
			one("claim", func(c *verifier.VerifiedCredential) { c.Claims = slices.Delete(slices.Clone(c.Claims), j, j+1) })
		}
	}
}

// checkDecision is the oracle of all fuzzing of decisions: a refusal has a known reason, an acceptance keeps only what may be
// kept and meets its own requirement, the reference checker agrees, and proof taken away never opens what was closed.
func checkDecision(t *testing.T, want verifier.Requirement, got verifier.Callback, now time.Time) {
	t.Helper()
	presentation, err := verifier.Evaluate(want, got, now)
	reason := reasonOf(t, err)
	if objections := referenceObjections(want, got, now); (reason == "") != (len(objections) == 0) {
		t.Fatalf("Evaluate says %q, the reference checker has objections %q\nwant %+v\ngot %+v", reason, objections, want, got)
	}
	if reason == "" {
		for _, claim := range presentation.Claims {
			required := slices.ContainsFunc(want.RequiredClaims, func(r verifier.RequiredClaim) bool { return r.Claim == claim.Name })
			if !required && !slices.Contains(want.Keep, claim.Name) {
				t.Fatalf("claim %q was kept", claim.Name)
			}
		}
		if reason := want.Meets(&presentation, time.Nanosecond, now); reason != "" {
			t.Fatalf("what has just passed does not meet the requirement: %s", reason)
		}
		return
	}
	withoutProof(got, now, func(what string, less verifier.Callback) {
		if _, err := verifier.Evaluate(want, less, now); err == nil {
			t.Fatalf("refused for %q, but accepted without %s\nwant %+v\ngot %+v", reason, what, want, less)
		}
	})
}

func FuzzEvaluate(f *testing.F) {
	f.Add([]byte{}, "", 0.0)
	// One deviation each, at every position, is a seed.
	for position := range 28 {
		for _, choice := range []byte{1, 2, 3} {
			f.Add(append(make([]byte, position), choice), "PT", 70.0)
		}
	}
	f.Add([]byte{0, 0, 2, 50}, "x", math.NaN())
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}, "x", math.Nextafter(70, 0))
	f.Fuzz(func(t *testing.T, choices []byte, text string, number float64) {
		e := (&chooser{choices, text, number}).evaluation()
		checkDecision(t, e.want, e.got, fixtureNow)
	})
}

func FuzzParseCallback(f *testing.F) {
	files, err := filepath.Glob("testdata/callback-presentation-*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, body := range []string{
		envelope(""), credential(`"type":"x"`), credential(`"claims":{"mail":1e309,"fullName":[{}]}`), credential(`"claims":{"a":1,"A":2}`),
		credential(`"faceCheck":{"matchConfidenceScore":1e309}`), credential(`"faceCheck":{"matchConfidenceScore":-0}`),
		credential(`"credentialState":{"revocationStatus":null}`), credential(`"issuanceDate":"0000-00-00T00:00:00Z"`),
		envelope(`,"x":"\ud83d\ude00\\\""`), envelope(`,"x":"` + strings.Repeat(`\ud83d\ude00`, 1000) + `\\"`),
		envelope(`,"x":"` + strings.Repeat("é", 5000) + `"`), envelope(`,"x":` + strings.Repeat("[", 40)),
		envelope(`,"State":1`), envelope("") + " {", "{", `{"`, `{"\u`, "", "null", "[]", `"`, "\xef\xbb\xbf{}",
	} {
		f.Add([]byte(body))
	}
	requirements := []verifier.Requirement{employeeRequirement(), identityRequirement(), newEvaluation().want}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, want := range requirements {
			got, err := verifier.ParseCallback(bytes.NewReader(body), want.NeededClaims())
			slow, slowErr := verifier.ParseCallback(iotest.OneByteReader(bytes.NewReader(body)), want.NeededClaims())
			if diff := cmp.Diff(got, slow, cmpopts.EquateErrors()); diff != "" || (err == nil) != (slowErr == nil) {
				t.Fatalf("the size of reads matters: %v, %v\n%s", err, slowErr, diff)
			}
			if err != nil {
				if !errors.Is(err, verifier.ErrMalformedCallback) {
					t.Fatalf("ParseCallback: %v", err)
				}
				continue
			}
			if len(body) < 8<<10 && !jsontext.Value(body).IsValid() {
				t.Fatal("what is no JSON was read")
			}
			checkDecision(t, want, got, fixtureNow)
		}
	})
}
