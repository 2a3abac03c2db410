// SPDX-License-Identifier: Apache-2.0

package claimheader_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
)

var encodings = []struct{ value, encoded string }{
	{"", ""},
	{"Megan Bowen", "Megan Bowen"},
	{"megan@contoso.com", "megan@contoso.com"},
	{`!"#$&'()*+,-./:;<=>?@[\]^_{|}~` + "`", `!"#$&'()*+,-./:;<=>?@[\]^_{|}~` + "`"},
	{"{env.CANARY} {http.vars.x}", "{env.CANARY} {http.vars.x}"},
	{"a+b", "a+b"},
	{"100%", "100%25"},
	{"%41", "%2541"},
	{"Zoë", "Zo%C3%AB"},
	{"🦊", "%F0%9F%A6%8A"},
	{" a", "%20a"},
	{"a ", "a%20"},
	{"  a  b  ", "%20%20a  b%20%20"},
	{" ", "%20"},
	{"   ", "%20%20%20"},
	{"\ta\t", "%09a%09"},
	{"a\tb", "a%09b"},
	{"a\r\nX-Role: admin", "a%0D%0AX-Role: admin"},
	{"\x00\x1f\x7f", "%00%1F%7F"},
	{"\u00a0a\u2028", "%C2%A0a%E2%80%A8"},
	{"\xff\xfe", "%FF%FE"}, // not UTF-8
}

// A claim is written by the holder's issuer, or by the holder. CR and LF would end the header for a careless server and break
// every request of the session on a careful one; other bytes arrive differently in every framework (TM-012).
func TestClaimValueIsPrintableASCII(t *testing.T) {
	t.Parallel()
	for _, tt := range encodings {
		if got := claimheader.Encode(tt.value); got != tt.encoded {
			t.Errorf("Encode(%q) = %q, want %q", tt.value, got, tt.encoded)
		}
		if got, err := claimheader.Decode(tt.encoded); err != nil || got != tt.value {
			t.Errorf("Decode(%q) = %q, %v, want %q", tt.encoded, got, err, tt.value)
		}
		// What the doc comment tells Go programmers.
		if got, err := url.PathUnescape(tt.encoded); err != nil || got != tt.value {
			t.Errorf("url.PathUnescape(%q) = %q, %v, want %q", tt.encoded, got, err, tt.value)
		}
	}
}

func TestDecodeRefusesWhatEncodeDoesNotWrite(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"%", "100%", "%4", "%zz", "%41", "%c3%ab", "%20a%20b%2", " a", "a ", "a\tb", "ë", "a\r\n", "\x00", "a%20b", "%7E", "CANARY%",
	} {
		got, err := claimheader.Decode(value)
		if !errors.Is(err, claimheader.ErrNotEncoded) || got != "" {
			t.Errorf("Decode(%q) = %q, %v, want ErrNotEncoded", value, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "CANARY") {
			t.Errorf("Decode(%q): the error repeats the value: %v", value, err)
		}
	}
}

// Through a real client and server, each value arrives, in one header, and the request succeeds (TM-012).
func TestClaimValueArrives(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		values := r.Header["X-Claim"]
		if len(values) != 1 || len(r.Header["X-Role"]) != 0 {
			http.Error(w, "not one header", http.StatusBadRequest)
			return
		}
		w.Header().Set("X-Echo", values[0])
	}))
	t.Cleanup(server.Close)
	for _, tt := range encodings {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Claim", claimheader.Encode(tt.value))
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Errorf("%q: %v", tt.value, err)
			continue
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		got, err := claimheader.Decode(resp.Header.Get("X-Echo"))
		if resp.StatusCode != http.StatusOK || err != nil || got != tt.value {
			t.Errorf("%q: status %d, value %q, %v", tt.value, resp.StatusCode, got, err)
		}
	}
}

// decode(encode(x)) = x for every text, the header has no byte it must not have, and ordinary text is not touched (TM-012).
func FuzzEncode(f *testing.F) {
	for _, tt := range encodings {
		f.Add(tt.value)
		f.Add(tt.encoded)
	}
	f.Fuzz(func(t *testing.T, value string) {
		encoded := claimheader.Encode(value)
		special := false
		for i := range len(encoded) {
			if c := encoded[i]; c < 0x20 || c > 0x7E {
				t.Fatalf("Encode(%q) = %q has byte %#x", value, encoded, c)
			}
		}
		for i := range len(value) {
			special = special || value[i] < 0x20 || value[i] > 0x7E || value[i] == '%'
		}
		if strings.TrimSpace(encoded) != encoded {
			t.Fatalf("Encode(%q) = %q has blanks at an end", value, encoded)
		}
		if !special && strings.Trim(value, " ") == value && encoded != value {
			t.Fatalf("Encode(%q) = %q, want it unchanged", value, encoded)
		}
		got, err := claimheader.Decode(encoded)
		if err != nil || got != value {
			t.Fatalf("Decode(Encode(%q)) = %q, %v", value, got, err)
		}
		// And what decodes at all has one spelling.
		if text, err := claimheader.Decode(value); err == nil && claimheader.Encode(text) != value {
			t.Fatalf("Decode(%q) = %q, which encodes to %q", value, text, claimheader.Encode(text))
		}
	})
}
