// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// VisitorAdvice is what a visitor may be told about a failed call. The set is closed.
type VisitorAdvice string

const (
	// Unavailable means: identity checks are not available right now; quote the support code.
	Unavailable VisitorAdvice = "unavailable"

	// Busy means: try again in a moment.
	Busy VisitorAdvice = "busy"
)

// ServiceError is an answer of the service other than success. Its words are the service's, from open sets; they are bounded,
// reduced to letters, digits and a few signs, and safe to log. The service's messages are not kept, since they may quote the
// request.
type ServiceError struct {
	// Status is the HTTP status.
	Status int

	// Code, InnerCode and Target are error.code, error.innererror.code and error.innererror.target. Empty if absent.
	Code, InnerCode, Target string

	// RequestID and MSCV name the call for Microsoft's support. Empty if absent.
	RequestID, MSCV string

	// RetryAfter is how long to wait, at most a minute. 0: the service does not ask for a pause.
	RetryAfter time.Duration

	cause cause
}

// cause is what an error message says about known mistakes of set-up. Messages are for people and may change, so it only
// chooses the words of [ServiceError.Operator].
type cause int

const (
	causeUnknown cause = iota
	causeBilling
	causeNoRoles
)

// newServiceError reads an error answer leniently: with or without inner error, in the form of 2022, or no JSON at all.
func newServiceError(response *http.Response, body []byte, now time.Time) *ServiceError {
	var answer struct {
		RequestID any `json:"requestId"`
		MSCV      any `json:"mscv"`
		Error     struct {
			Code       any `json:"code"`
			Message    any `json:"message"`
			InnerError struct {
				Code    any `json:"code"`
				Message any `json:"message"`
				Target  any `json:"target"`
			} `json:"innererror"`
		} `json:"error"`
	}
	e := &ServiceError{Status: response.StatusCode}
	// What was read before a fault counts.
	_ = json.Unmarshal(body, &answer)
	e.RequestID, e.MSCV = word(answer.RequestID), word(answer.MSCV)
	e.Code = word(answer.Error.Code)
	e.InnerCode, e.Target = word(answer.Error.InnerError.Code), word(answer.Error.InnerError.Target)
	if e.MSCV == "" {
		e.MSCV = cleanWord(response.Header.Get("ms-cv"))
	}
	inner, _ := answer.Error.InnerError.Message.(string)
	outer, _ := answer.Error.Message.(string)
	switch message := strings.ToLower(inner + outer); {
	case strings.Contains(message, "billing"):
		e.cause = causeBilling
	case strings.Contains(message, "no roles"), strings.Contains(message, "no acceptable roles"):
		e.cause = causeNoRoles
	}
	if header := response.Header.Get("Retry-After"); header != "" || e.Status == http.StatusTooManyRequests {
		e.RetryAfter = parseRetryAfter(header, now)
	}
	return e
}

// Error returns status and codes: "request service answered 400 (badRequest, badOrMissingField, authority)".
func (e *ServiceError) Error() string {
	var words []string
	for _, word := range []string{e.Code, e.InnerCode, e.Target} {
		if word != "" {
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		return fmt.Sprintf("request service answered %d", e.Status)
	}
	return fmt.Sprintf("request service answered %d (%s)", e.Status, strings.Join(words, ", "))
}

// Is makes an answer that asks for a pause an [ErrBusy].
func (e *ServiceError) Is(target error) bool { return target == ErrBusy && e.asksForPause() }

// LogValue returns the fields under the names the whole project logs them.
func (e *ServiceError) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("status", e.Status),
		slog.String("code", e.Code),
		slog.String("inner_code", e.InnerCode),
		slog.String("target", e.Target),
		slog.String("request_id", e.RequestID),
		slog.String("ms_cv", e.MSCV),
		slog.Duration("retry_after", e.RetryAfter),
	)
}

// Temporary says whether the same call may succeed later without anybody changing anything.
func (e *ServiceError) Temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return e.InnerCode == "transientError"
}

// asksForPause says whether the service wants everybody to wait.
func (e *ServiceError) asksForPause() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable && e.RetryAfter > 0
}

// Visitor says what to tell the visitor.
func (e *ServiceError) Visitor() VisitorAdvice {
	if e.Temporary() {
		return Busy
	}
	return Unavailable
}

// Operator says what to mend, in one line without secrets.
func (e *ServiceError) Operator() string {
	switch {
	case e.cause == causeBilling:
		return "Face Check is not enabled for the authority: enable the Face Check add-on in the Entra admin center (https://aka.ms/fcbilling)"
	case e.cause == causeNoRoles:
		return "the app has no role: grant VerifiableCredential.Create.PresentRequest of \"Verifiable Credentials Service Request\" and admin consent"
	case e.Status == http.StatusBadRequest && e.Target == "authority":
		return "the authority is not a DID of the tenant that the token is for"
	case e.Temporary() && e.Status == http.StatusTooManyRequests:
		return "the service limits the rate: tenants in quick setup have two requests a second"
	case e.Temporary():
		return "the service has trouble: wait, and see its status page if it lasts"
	case e.Status == http.StatusBadRequest && e.Target != "":
		return "the service does not accept the field " + e.Target + " of the request: mend the configuration"
	case e.Status == http.StatusBadRequest:
		return "the service does not accept the request: mend the configuration"
	case e.Status == http.StatusUnauthorized:
		return "the service does not accept the access token, not even a fresh one: check tenant and credentials"
	case e.Status == http.StatusForbidden:
		return "the app may not create presentation requests: grant VerifiableCredential.Create.PresentRequest and admin consent"
	case e.Status == http.StatusNotFound:
		return "the service does not know the path: check the service URL and the tenant"
	}
	return "the service gave an answer that is not documented: quote request_id and ms_cv to Microsoft's support"
}

// parseRetryAfter reads seconds or a date. What is neither is the default, what is beyond the limit is the limit.
func parseRetryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, int64(patience.LongestPause/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(header); err == nil {
		return min(max(date.Sub(now), 0), patience.LongestPause)
	}
	return patience.DefaultPause
}

// word returns a JSON string in a form that is safe to log, or "".
func word(value any) string {
	text, _ := value.(string)
	return cleanWord(text)
}

// maxWordBytes is enough for every code, field path and ID seen.
const maxWordBytes = 128

// cleanWord keeps the characters of identifiers, field paths and correlation vectors, and cuts what is too long.
func cleanWord(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("-._|[]$+/!#:", r):
			return r
		}
		return -1
	}, text[:min(len(text), maxWordBytes)])
}
