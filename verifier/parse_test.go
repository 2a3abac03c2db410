// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func keepNames(names ...string) func(string) bool {
	return func(name string) bool { return slices.Contains(names, name) }
}

func parse(t testing.TB, body string, keep ...string) (verifier.Callback, error) {
	t.Helper()
	return verifier.ParseCallback(strings.NewReader(body), keepNames(keep...))
}

func TestParseCallback(t *testing.T) {
	t.Parallel()
	const state, request = "kR3mZ1xVt7oQdJ5bN9sWfA2hL0yGcU8iEpTqXnM4vBY", "c4b1f0de-93a7-4c1e-8f25-6d7a0b9e4c31"
	const faceState, faceRequest = "Qw8eRt2YuI0oPa5SdF7gHj1KlZx3CvB9nM6qWeR4tYo", "0f6e8a52-7bd4-49c3-a1e0-58c2d93b7f14"
	employee := verifier.VerifiedCredential{
		Issuer: "did:web:verifiedid.contoso.example", Types: []string{"VerifiableCredential", "VerifiedEmployee"},
		Claims:           []verifier.Claim{{"displayName", "Ana Lima"}, {"mail", "ana.lima@contoso.example"}},
		RevocationStatus: "VALID", DomainURL: "https://verifiedid.contoso.example/",
		IssuanceDate: "2026-01-01T10:00:00Z", ExpirationDate: "2026-06-30T10:00:00Z",
	}
	revoked := employee
	revoked.RevocationStatus = "REVOKED"
	identity := verifier.VerifiedCredential{
		Issuer: "did:web:did.fabrikam-idv.example", Types: []string{"VerifiableCredential", "VerifiedIdentity"},
		Claims:           []verifier.Claim{{"fullName", "Ana Lima"}},
		RevocationStatus: "VALID", DomainURL: "https://www.fabrikam-idv.example/",
		IssuanceDate: "2026-01-12T10:00:00Z", ExpirationDate: "2026-04-12T10:00:00Z",
		FaceCheck: &verifier.FaceCheckResult{Score: 91.482703},
	}
	verified, failed := verifier.StatusPresentationVerified, verifier.StatusPresentationError
	tests := []struct {
		file string
		want verifier.Callback
	}{
		{"request-retrieved", verifier.Callback{RequestID: request, State: state, Status: verifier.StatusRequestRetrieved}},
		{"verified", verifier.Callback{RequestID: request, State: state, Status: verified, Credentials: []verifier.VerifiedCredential{employee}}},
		{"verified-receipt", verifier.Callback{RequestID: request, State: state, Status: verified, Credentials: []verifier.VerifiedCredential{employee}}},
		{"verified-revoked-allowed", verifier.Callback{RequestID: request, State: state, Status: verified, Credentials: []verifier.VerifiedCredential{revoked}}},
		{"verified-facecheck", verifier.Callback{RequestID: faceRequest, State: faceState, Status: verified, Credentials: []verifier.VerifiedCredential{identity}}},
		{"verified-facecheck-receipt", verifier.Callback{RequestID: faceRequest, State: faceState, Status: verified, Credentials: []verifier.VerifiedCredential{identity}}},
		{"verified-multiple", verifier.Callback{RequestID: request, State: state, Status: verified, Credentials: []verifier.VerifiedCredential{employee, identity}}},
		{"error-facecheck", verifier.Callback{RequestID: faceRequest, State: faceState, Status: failed, Error: &verifier.CallbackError{Code: "claimValidationError"}}},
		{"error-revoked", verifier.Callback{RequestID: request, State: state, Status: failed, Error: &verifier.CallbackError{Code: "tokenError"}}},
		{"error-unlisted-code", verifier.Callback{RequestID: request, State: state, Status: failed, Error: &verifier.CallbackError{Code: "futureErrorCode"}}},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			body := readFile(t, "callback-presentation-"+test.file+".json")
			for _, r := range []io.Reader{bytes.NewReader(body), iotest.OneByteReader(bytes.NewReader(body)), iotest.DataErrReader(bytes.NewReader(body))} {
				got, err := verifier.ParseCallback(r, keepNames("displayName", "mail", "fullName", "missing"))
				if err != nil {
					t.Fatalf("ParseCallback: %v", err)
				}
				if test.want.Status == verified && !strings.HasPrefix(got.Subject, "did:ion:") {
					t.Errorf("Subject = %.20q", got.Subject)
				}
				if got.Digest == [32]byte{} {
					t.Error("no digest")
				}
				got.Subject, got.Digest = "", [32]byte{}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			}
		})
	}
	files, err := filepath.Glob("testdata/callback-presentation-*.json")
	if err != nil || len(files) != len(tests) {
		t.Errorf("%d files, %d tests: every file has its test (%v)", len(files), len(tests), err)
	}
}

// envelope wraps members into a callback that is fine otherwise.
func envelope(members string) string {
	return `{"requestId":"r","requestStatus":"presentation_verified","state":"s","subject":"did:x:y"` + members + `}`
}

func credential(members string) string {
	return envelope(`,"verifiedCredentialsData":[{` + members + `}]`)
}

// The attacker, or a careless issuer, sends a body of which two readers understand different things, or one that costs us more
// than it costs him. TM-059, TM-014.
func TestMalformedCallbackIsRefused(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	members := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"m%d":0`, i)
		}
		return b.String()
	}
	tests := []struct{ name, body string }{
		{"empty", ``},
		{"blank", "  \n"},
		{"array", `[]`},
		{"null", `null`},
		{"string", `"x"`},
		{"truncated", envelope("")[:40]},
		{"truncated in string", `{"requestId":"r`},
		{"second object", envelope("") + `{}`},
		{"second object after blank", envelope("") + "\n" + envelope("")},
		{"trailing comma", `{"requestId":"r",}`},
		{"trailing word", envelope("") + `x`},
		{"byte order mark", "\ufeff" + envelope("")},
		{"comment", `/**/` + envelope("")},
		{"blank inside number", envelope(`,"x":1 2`)},
		{"invalid UTF-8", envelope(`,"x":"` + "\xff" + `"`)},
		{"invalid UTF-8 name", envelope(`,"` + "\xff" + `":0`)},
		{"lone surrogate", envelope(`,"x":"\ud83d"`)},
		{"control character", envelope(",\"x\":\"\n\"")},
		{"no request ID", `{"requestStatus":"presentation_verified","state":"s"}`},
		{"no status", `{"requestId":"r","state":"s"}`},
		{"no state", `{"requestId":"r","requestStatus":"request_retrieved"}`},
		{"null state", `{"requestId":"r","requestStatus":"request_retrieved","state":null}`},
		{"empty state", `{"requestId":"r","requestStatus":"request_retrieved","state":""}`},
		{"number as request ID", `{"requestId":1,"requestStatus":"request_retrieved","state":"s"}`},
		{"only other case", `{"RequestId":"r","requestStatus":"request_retrieved","state":"s"}`},
		{"name twice", envelope(`,"state":"t"`)},
		{"name twice in other case", envelope(`,"State":"t"`)},
		{"name twice escaped", envelope(`,"\u0073tate":"t"`)},
		{"unknown name twice", envelope(`,"x":1,"x":1`)},
		{"unknown name twice in other case", envelope(`,"x":1,"X":1`)},
		{"name twice by Kelvin sign", envelope(`,"k":1,"` + "\u212a" + `":1`)},
		{"name twice in skipped object", envelope(`,"receipt":{"a":{"b":1,"B":2}}`)},
		{"credential name twice", credential(`"issuer":"did:x:a","issuer":"did:x:b"`)},
		{"credential name twice in other case", credential(`"issuer":"did:x:a","Issuer":"did:x:b"`)},
		{"claim twice", credential(`"claims":{"role":"user","role":"admin"}`)},
		{"claim twice in other case", credential(`"claims":{"role":"user","Role":"admin"}`)},
		{"unkept claim twice", credential(`"claims":{"x":"user","x":"admin"}`)},
		{"face check twice", credential(`"faceCheck":{"matchConfidenceScore":1,"matchconfidencescore":99}`)},
		{"type as string", credential(`"type":"VerifiedEmployee"`)},
		{"type as object", credential(`"type":{}`)},
		{"number in types", credential(`"type":[1]`)},
		{"null in types", credential(`"type":[null]`)},
		{"too many types", credential(`"type":[` + strings.Repeat(`"t",`, 32) + `"t"]`)},
		{"claims as array", credential(`"claims":[]`)},
		{"issuer as object", credential(`"issuer":{"id":"did:x:y"}`)},
		{"empty status", credential(`"credentialState":{"revocationStatus":""}`)},
		{"status as string", credential(`"credentialState":"VALID"`)},
		{"status as boolean", credential(`"credentialState":{"revocationStatus":true}`)},
		{"empty date", credential(`"expirationDate":""`)},
		{"date as number", credential(`"expirationDate":1893456000`)},
		{"credentials as object", envelope(`,"verifiedCredentialsData":{}`)},
		{"credential as string", envelope(`,"verifiedCredentialsData":["x"]`)},
		{"credential null", envelope(`,"verifiedCredentialsData":[null]`)},
		{"too many credentials", envelope(`,"verifiedCredentialsData":[` + strings.Repeat(`{},`, 16) + `{}]`)},
		{"error as string", envelope(`,"error":"no"`)},
		{"error code as number", envelope(`,"error":{"code":1}`)},
		{"score as string", credential(`"faceCheck":{"matchConfidenceScore":"91"}`)},
		{"score as boolean", credential(`"faceCheck":{"matchConfidenceScore":true}`)},
		{"score beyond float", credential(`"faceCheck":{"matchConfidenceScore":1e309}`)},
		{"score below float", credential(`"faceCheck":{"matchConfidenceScore":-1e309}`)},
		{"score NaN", credential(`"faceCheck":{"matchConfidenceScore":NaN}`)},
		{"score Infinity", credential(`"faceCheck":{"matchConfidenceScore":Infinity}`)},
		{"score plus", credential(`"faceCheck":{"matchConfidenceScore":+91}`)},
		{"score with letter", credential(`"faceCheck":{"matchConfidenceScore":9x}`)},
		{"score minus", credential(`"faceCheck":{"matchConfidenceScore":-}`)},
		{"score octal", credential(`"faceCheck":{"matchConfidenceScore":091}`)},
		{"face check as number", credential(`"faceCheck":91`)},
		{"too deep", envelope(`,"x":` + nested(32))},
		{"far too deep", envelope(`,"x":` + nested(100_000))},
		{"far too deep objects", envelope(`,"x":` + strings.Repeat(`{"x":`, 1000) + `0` + strings.Repeat(`}`, 1000))},
		{"too many members", envelope(members(253))},
		{"bad escape", envelope(`,"x":"\uzzzz"`)},
		{"number as name", envelope(`,1:2`)},
		{"null as name", envelope(`,null:2`)},
		{"too many arrays", envelope(`,"x":[` + strings.Repeat(`[],`, 10_000) + `[]]`)},
		{"too many values", envelope(`,"x":[` + strings.Repeat(`0,`, 20_000) + `0]`)},
		{"long number", envelope(`,"x":` + strings.Repeat("1", 129))},
		{"long word", envelope(`,"x":` + strings.Repeat("n", 1<<20))},
		{"long known string", `{"requestId":"` + strings.Repeat("r", 8<<10) + `","requestStatus":"request_retrieved","state":"s"}`},
		{"long name", envelope(`,"` + strings.Repeat("n", 8<<10) + `":1`)},
		{"long kept claim", credential(`"claims":{"role":"` + strings.Repeat("x", 8<<10) + `"}`)},
		{"long kept claim, cut", credential(`"claims":{"role":"` + strings.Repeat("x", 1<<20) + `"}`)},
		{"body too long", envelope(`,"x":"` + strings.Repeat("x", verifier.MaxCallbackBytes) + `"`)},
		{"blanks too long", envelope("") + strings.Repeat(" ", verifier.MaxCallbackBytes)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(t, test.body, "role")
			if !errors.Is(err, verifier.ErrMalformedCallback) {
				t.Errorf("ParseCallback = %+v, %v, want %v", got, err, verifier.ErrMalformedCallback)
			}
		})
	}
}

func TestTolerableCallbackIsRead(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body string }{
		{"blanks", " \r\n\t" + strings.ReplaceAll(envelope(""), ",", " ,\n\n  ") + " \n"},
		{"unknown members", envelope(`,"new":{"deep":[1,{"a":null}]},"x":1e400,"y":"z"`)},
		{"unknown credential members", credential(`"new":{"deep":[1]},"id":"x"`)},
		{"unknown status", `{"requestId":"r","requestStatus":"selfie_taken","state":"s"}`},
		{"null members", envelope(`,"verifiedCredentialsData":null,"error":null,"receipt":null`)},
		{"null credential members", credential(`"claims":null,"type":null,"credentialState":null,"domainValidation":null,"faceCheck":null,"issuanceDate":null`)},
		{"null inner members", credential(`"credentialState":{"revocationStatus":null},"domainValidation":{"url":null},"faceCheck":{"matchConfidenceScore":null}`)},
		{"deepest", envelope(`,"x":` + strings.Repeat(`[`, 31) + strings.Repeat(`]`, 31))},
		{"long skipped string", envelope(`,"x":"` + strings.Repeat("é", 1<<20) + `"`)},
		{"long skipped escapes", envelope(`,"x":"` + strings.Repeat(`\"\\\n`, 1<<18) + `"`)},
		{"long skipped surrogates", envelope(`,"x":"` + strings.Repeat(`\ud83d\ude00`, 1<<18) + `","y":"\\"`)},
		{"long skipped surrogates, odd", envelope(`,"x":"a` + strings.Repeat(`\uD83D\uDE00`, 1<<18) + `\\","y":"\""`)},
		{"longest kept claim", credential(`"claims":{"role":"` + strings.Repeat("x", 8<<10-1) + `"}`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := parse(t, test.body, "role"); err != nil {
				t.Errorf("ParseCallback: %v", err)
			}
		})
	}
}

// Claims are strings; of others, one written rule says what becomes of them. TM-014.
func TestClaimsThatAreNotStrings(t *testing.T) {
	t.Parallel()
	got, err := parse(t, credential(`"claims":{"s":"Ana \u00e9\n","empty":"","n":-1.50e+2,"t":true,"f":false,"null":null,"a":["x"],"o":{"x":1},"skipped":"x"}`),
		"s", "empty", "n", "t", "f", "null", "a", "o", "missing")
	if err != nil {
		t.Fatal(err)
	}
	want := []verifier.Claim{{"empty", ""}, {"f", "false"}, {"n", "-1.50e+2"}, {"s", "Ana é\n"}, {"t", "true"}}
	if diff := cmp.Diff(want, got.Credentials[0].Claims); diff != "" {
		t.Errorf("claims, -want +got:\n%s", diff)
	}
}

// A careless issuer puts megabytes into many claims we keep: the sum is bounded, too. TM-059.
func TestKeptClaimsAreBoundedTogether(t *testing.T) {
	t.Parallel()
	var claims []string
	for i := range 9 {
		claims = append(claims, fmt.Sprintf(`"c%d":%q`, i, strings.Repeat("x", 8<<10-1)))
	}
	body := credential(`"claims":{` + strings.Join(claims, ",") + `}`)
	_, err := verifier.ParseCallback(strings.NewReader(body), func(string) bool { return true })
	if !errors.Is(err, verifier.ErrMalformedCallback) {
		t.Errorf("ParseCallback: %v", err)
	}
}

// A photo must reach nothing that is kept: neither the result nor, by an error text, a log. TM-017.
func TestPhotoAndUnlistedClaimsAreDropped(t *testing.T) {
	t.Parallel()
	const canary = "CANARY-4711"
	body := credential(`"claims":{"photo":"` + canary + `","other":"` + canary + `","role":"x"}`)
	got, err := parse(t, body, "role")
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v", got); strings.Contains(text, canary) {
		t.Error("the canary survived")
	}
	for _, broken := range []string{
		credential(`"claims":{"` + canary + `":1,"` + canary + `":1}`),
		credential(`"claims":{"role":"` + canary + `\x"}`),
		credential(`"issuer":"` + canary + "\xff" + `"`),
		credential(`"expirationDate":` + canary),
		envelope(`,"` + canary + `":` + canary),
		envelope("") + canary,
	} {
		_, err := parse(t, broken, "role")
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("ParseCallback: %v", err)
		}
	}
}

func TestParseCallbackReturnsReadersError(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	for _, body := range []string{"", envelope("")[:30], envelope("")} {
		_, err := verifier.ParseCallback(io.MultiReader(strings.NewReader(body), iotest.ErrReader(broken)), nil)
		if !errors.Is(err, broken) || errors.Is(err, verifier.ErrMalformedCallback) {
			t.Errorf("ParseCallback = %v, want %v", err, broken)
		}
	}
}

// Two deliveries of one event are one event; anything else that came is another. TM-061.
func TestDigestIsOfWhatDecides(t *testing.T) {
	t.Parallel()
	base := credential(`"issuer":"did:x:i","claims":{"a":"1","b":"2"},"faceCheck":{"matchConfidenceScore":91}`)
	first, err := parse(t, base, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, old, new string
		same           bool
	}{
		{"blanks", `,`, ", ", true},
		{"claims in other order", `"a":"1","b":"2"`, `"b":"2","a":"1"`, true},
		{"photo", `"a":"1"`, `"photo":"x","a":"1"`, true},
		{"unknown member", `"state"`, `"new":1,"state"`, true},
		{"same number", `91`, `9.1e1`, true},
		{"claim", `"a":"1"`, `"a":"2"`, false},
		{"claims shifted", `"a":"1","b":"2"`, `"a":"1b","":"2"`, false},
		{"claim missing", `,"b":"2"`, ``, false},
		{"issuer", `did:x:i`, `did:x:j`, false},
		{"score", `91`, `91.5`, false},
		{"no score", `91`, `null`, false},
		{"subject", `did:x:y`, `did:x:z`, false},
		{"state", `"s"`, `"t"`, false},
		{"error", `"state"`, `"error":{},"state"`, false},
		{"error code", `"state"`, `"error":{"code":"x"},"state"`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(t, strings.ReplaceAll(base, test.old, test.new), "a", "b")
			if err != nil {
				t.Fatal(err)
			}
			if (got.Digest == first.Digest) != test.same {
				t.Errorf("same digest = %v, want %v", !test.same, test.same)
			}
		})
	}
}

// A thousand bodies of 10 MB at once must not cost gigabytes: what is skipped is not held. TM-059.
func TestBigCallbackTakesLittleMemory(t *testing.T) {
	body := bigCallback(verifier.MaxCallbackBytes - 4096)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := verifier.ParseCallback(strings.NewReader(body), keepNames("displayName")); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 256<<10 {
		t.Errorf("a body of %d bytes made %d bytes of garbage", len(body), allocated)
	}
}

// bigCallback is a callback with a photo of about n bytes.
func bigCallback(n int) string {
	return credential(`"claims":{"photo":"` + strings.Repeat("%2F9j", n/5) + `","displayName":"Ana"}`)
}

func BenchmarkParseCallback(b *testing.B) {
	keep := keepNames("displayName", "mail", "fullName")
	for _, test := range []struct{ name, body string }{
		{"verified", string(readFile(b, "callback-presentation-verified.json"))},
		{"receipt", string(readFile(b, "callback-presentation-verified-receipt.json"))},
		{"photo 1 MB", bigCallback(1 << 20)},
		{"photo 10 MB", bigCallback(verifier.MaxCallbackBytes - 4096)},
	} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(test.body)))
			for b.Loop() {
				if _, err := verifier.ParseCallback(strings.NewReader(test.body), keep); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
