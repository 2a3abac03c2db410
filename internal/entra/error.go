// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Error is an answer of Entra without a token. Find it with [errors.As].
type Error struct {
	// Status is the HTTP status.
	Status int

	// Code is the OAuth error, such as invalid_client; Number is the first of Entra's own, such as 7000215 for
	// AADSTS7000215. Zero if Entra gives none.
	Code   string
	Number int

	// RetryAfter is how long Entra wants to be left alone. 0 if it does not say.
	RetryAfter time.Duration

	// CorrelationID and TraceID name the call for Microsoft's support.
	CorrelationID, TraceID string

	scope string // what was asked for
}

// advice says what to mend, by AADSTS number (Microsoft Entra authentication error codes). <role> stands for that of the scope.
var advice = map[int]string{
	50034:   "the account does not exist in the tenant",
	53003:   "a conditional access policy blocks the app",
	70021:   "no federated credential of the app matches the workload's token",
	90002:   "there is no such tenant",
	500011:  "the tenant does not know the service: set up Verified ID first",
	501051:  "the app has no role: grant <role> and admin consent",
	700016:  "the tenant does not know the client ID",
	700021:  "the certificate's assertion is not within its time: is the clock right?",
	700024:  "the certificate's assertion is not within its time: is the clock right?",
	700027:  "the certificate is not registered with the app, or has expired",
	700211:  "no federated credential of the app matches the workload's token",
	700213:  "no federated credential of the app matches the workload's token",
	900023:  "the tenant is neither an ID nor a domain",
	7000112: "the app is disabled",
	7000215: "the client secret is wrong: is it the secret's ID instead of its value?",
	7000222: "the client secret has expired",
}

// Error returns one line with what to mend, if that is known.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "entra answered %d", e.Status)
	if e.Code != "" {
		fmt.Fprintf(&b, " (%s", e.Code)
		if e.Number != 0 {
			fmt.Fprintf(&b, ", AADSTS%d", e.Number)
		}
		b.WriteByte(')')
	}
	if text := advice[e.Number]; text != "" {
		b.WriteString(": " + strings.Replace(text, "<role>", roles[cmp.Or(e.scope, RequestScope)], 1))
	}
	if e.CorrelationID != "" || e.TraceID != "" {
		fmt.Fprintf(&b, " [correlation %s, trace %s]", e.CorrelationID, e.TraceID)
	}
	return b.String()
}

// newError turns an error of azidentity, which runs over many lines and quotes the answer whole, into one of ours. network is
// what the transport said, as azidentity wraps nothing; nil if it had nothing to say. scope is what was asked for.
func newError(err, network error, scope string) error {
	var failed *azidentity.AuthenticationFailedError
	if errors.As(err, &failed) && failed.RawResponse != nil {
		return newAnswerError(failed.RawResponse, scope)
	}
	if network != nil {
		return network
	}
	text, _, _ := strings.Cut(oneLine(err).Error(), " To troubleshoot, visit")
	if strings.Contains(text, "json") {
		// The libraries quote an answer they cannot read, and half of it may be a token.
		text = "its answer is not the JSON expected"
	}
	return fmt.Errorf("asking entra: %s", text)
}

func newAnswerError(response *http.Response, scope string) error {
	var answer struct {
		Error         string `json:"error"`
		ErrorCodes    []int  `json:"error_codes"`
		CorrelationID string `json:"correlation_id"`
		TraceID       string `json:"trace_id"`
	}
	if body, err := runtime.Payload(response); err == nil {
		_ = json.Unmarshal(body, &answer)
	}
	e := &Error{
		Status: response.StatusCode, Code: cleanWord(answer.Error), scope: scope,
		CorrelationID: cleanWord(answer.CorrelationID), TraceID: cleanWord(answer.TraceID),
	}
	if seconds, err := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 16); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	if len(answer.ErrorCodes) > 0 {
		e.Number = answer.ErrorCodes[0]
	}
	return e
}

// maxLineBytes bounds the words of others in an error text.
const maxLineBytes = 300

// oneLine is an error with the text of another, as one bounded line. It does not wrap: the other's text is the problem.
func oneLine(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	return errors.New(strings.ToValidUTF8(text[:min(len(text), maxLineBytes)], ""))
}

// cleanWord keeps what codes and IDs consist of.
func cleanWord(text string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return -1
	}, text[:min(len(text), 64)])
}
