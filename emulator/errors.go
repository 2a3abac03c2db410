// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Inner error codes of the Request Service.
const (
	codeBadField  = "badOrMissingField"
	codeNotFound  = "notFound"
	codeToken     = "tokenError"
	codeTransient = "transientError"
	codeWrongPIN  = "token_validation.invalid_openid_token_hint_pin"
)

// serviceError is an error as the Request Service answers it.
type serviceError struct {
	status                 int
	inner, message, target string
}

func (e *serviceError) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.inner, e.message) }

// outer holds the code and the message of each HTTP status, from the service's own table of errors.
var outer = map[int][2]string{
	400: {"badRequest", "The request is invalid."},
	401: {"unauthorized", "The requested resource requires authentication"},
	403: {"forbidden", "Missing permissions to fulfill this request."},
	404: {"notFound", "The requested resource doesn't exist."},
	405: {"methodNotAllowed", "The requested method isn't allowed on the requested resource."},
	406: {"notAcceptable", "Requested response format not supported."},
	408: {"requestTimeout", "The request timed out."},
	409: {"conflict", "The server can't fulfill the request due to a server conflict."},
	410: {"gone", "The requested resource is no longer available."},
	411: {"contentLengthRequired", "The Content-Length header is missing."},
	412: {"preconditionFailed", "A precondition for this request failed."},
	413: {"payloadTooLarge", "The payload is too large."},
	414: {"uriTooLong", "The URI is too long."},
	415: {"unsupportedMediaType", "The specified media type is unsupported."},
	422: {"unprocessableEntity", "The request contains semantic errors."},
	423: {"locked", "The source or destination resource is locked."},
	429: {"tooManyRequests", "Too many requests, try again later."},
	431: {"requestHeaderFieldsTooLarge", "The request header field is too large."},
	500: {"internalServerError", "A generic error has occurred on the server."},
	501: {"notImplemented", "The server doesn't support the requested function."},
	502: {"badGateway", "bad response received from another gateway."},
	503: {"serviceUnavailable", "The server is temporarily unavailable, please try again later."},
	504: {"gatewayTimeout", "Time out received from another gateway."},
	507: {"insufficientStorage", "Unable to save data for the request."},
}

// errorBody is the body of every error of the service.
type errorBody struct {
	RequestID string     `json:"requestId"`
	Date      string     `json:"date"`
	MSCV      string     `json:"mscv"`
	Error     outerError `json:"error"`
}

type outerError struct {
	Code       string      `json:"code"`
	Message    string      `json:"message"`
	InnerError *innerError `json:"innererror,omitempty"`
}

type innerError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Target  string `json:"target,omitempty"`
}

// writeError answers with the service's error body. The ids in the headers are those in the body.
func (e *Emulator) writeError(w http.ResponseWriter, err *serviceError) {
	text, ok := outer[err.status]
	if !ok {
		text = [2]string{"error", http.StatusText(err.status)}
	}
	body := errorBody{
		RequestID: e.rand.uuid(),
		Date:      e.Now().UTC().Format(http.TimeFormat),
		MSCV:      e.rand.correlationVector(),
		Error:     outerError{Code: text[0], Message: text[1]},
	}
	if err.inner != "" {
		body.Error.InnerError = &innerError{Code: err.inner, Message: err.message, Target: err.target}
	}
	w.Header().Set("Request-Id", body.RequestID)
	w.Header().Set("ms-cv", body.MSCV)
	if err.status == http.StatusUnauthorized {
		w.Header().Set("Www-Authenticate", `Bearer authorization_uri="`+e.cfg.TokenURL+`"`)
	}
	writeJSON(w, err.status, body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "encoding answer failed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller has gone; there is nobody left to tell
}

func badField(target, format string, args ...any) *serviceError {
	return &serviceError{status: http.StatusBadRequest, inner: codeBadField, message: fmt.Sprintf(format, args...), target: target}
}

func notFound(target, message string) *serviceError {
	return &serviceError{status: http.StatusNotFound, inner: codeNotFound, message: message, target: target}
}

func badToken(format string, args ...any) *serviceError {
	return &serviceError{status: http.StatusBadRequest, inner: codeToken, message: fmt.Sprintf(format, args...)}
}
