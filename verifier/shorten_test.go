// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

const longest = 8

func TestShortenedBody(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		``:                            ``,
		`{"a":1}`:                     `{"a":1}`,
		" \t\r\n{ \n \"a\"  :\t\t1 }": " { \"a\" :\t1 }",
		`"a  b"`:                      `"a  b"`,
		`"1234567"`:                   `"1234567"`,
		`"12345678"`:                  `"12345678"`,
		`"123456789"`:                 `"12345678"`,
		`["123456789","b",3]`:         `["12345678","b",3]`,
		`"123456789\"x\\","b"`:        `"12345678","b"`,
		`"12345678\\"x`:               `"12345678"x`,
		`"1234567\"89"`:               `"1234567\""`,
		`"1234567\u00e989"`:           `"1234567\u00e9"`,
		`"1234567é89"`:                `"1234567é"`,
		`"123456\ud83d\ude00789"`:     `"123456\ud83d\ude00"`,
		`"12\ud83d\ude00789"`:         `"12\ud83d\ude00"`,
		`"1234567\ud83dx9"`:           `"1234567\ud83dx"`, // no other half: left for the parser to refuse
	} {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.HalfReader(strings.NewReader(in))} {
			got, err := verifier.Shorten(r, longest)
			if err != nil || string(got) != want {
				t.Errorf("Shorten(%s) = %s, %v, want %s", in, got, err, want)
			}
		}
	}
}

// tokens returns the raw tokens of a JSON value, or false if it is none.
func tokens(body []byte) ([]string, bool) {
	if !jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true)) {
		return nil, false
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))
	var all []string
	for {
		switch kind := decoder.PeekKind(); kind {
		case '{', '}', '[', ']':
			if _, err := decoder.ReadToken(); err != nil {
				return nil, false
			}
			all = append(all, string(kind))
		default:
			value, err := decoder.ReadValue()
			if errors.Is(err, io.EOF) {
				return all, true
			}
			if err != nil {
				return nil, false
			}
			all = append(all, string(value))
		}
	}
}

// What is JSON stays JSON with the same tokens, strings from the limit on excepted: those are beginnings of what they were, and
// still too long to be used. What is no JSON does not become any, unless the fault was in what is cut out. TM-059.
func FuzzShortenedBody(f *testing.F) {
	for _, body := range []string{
		`{"a":"123456789","b":["\ud83d\ude00\ud83d\ude00","\\\\\\\\\\","ééééé"],"c":-1.5e10,"d":null}`, `"`, `"\`, `"\u`, `"1234567\u00`,
		`"12345678"9"`, "\"12345678\xff\"", "\"12345678\n\"", `"12345678\x"`, `1 2`, `"a""b"`, `{"a" :1 ,"a" :2 }`, "[ 1 ,\n\n 2 ]", `tru e`, `"12345678`, `"12345678\`,
		`"\ud83d\ude00\ud83d\n\n\n\n"`, `"\ud83d\ud83d\ud83d\ude00"`, `"\udc00\udc00"`, strings.Repeat("9", 129),
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		short, err := verifier.Shorten(bytes.NewReader(body), longest)
		pieces, piecesErr := verifier.Shorten(iotest.OneByteReader(bytes.NewReader(body)), longest)
		if !bytes.Equal(short, pieces) || (err == nil) != (piecesErr == nil) {
			t.Fatalf("the size of reads matters: %q, %v and %q, %v", short, err, pieces, piecesErr)
		}
		before, valid := tokens(body)
		if err != nil {
			for _, token := range before {
				if token[0] != '"' && len(token) > 128 {
					return
				}
			}
			if valid {
				t.Fatalf("valid JSON is refused: %v", err)
			}
			return
		}
		after, stillValid := tokens(short)
		if !valid {
			if stillValid && !strings.Contains(string(short), `"`) {
				t.Fatalf("%q became valid: %q", body, short)
			}
			return
		}
		if !stillValid || len(before) != len(after) {
			t.Fatalf("%q became %q", body, short)
		}
		for i, token := range before {
			long := token[0] == '"' && len(token)-2 >= longest
			if !long && after[i] != token {
				t.Fatalf("token %s became %s", token, after[i])
			}
			if long && (len(after[i])-2 < longest || !strings.HasPrefix(token, after[i][:len(after[i])-1])) {
				t.Fatalf("string %s became %s", token, after[i])
			}
		}
	})
}
