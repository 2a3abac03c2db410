// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

// serveWithFault lets next answer, unless the API has a fault to show.
func (e *Emulator) serveWithFault(w http.ResponseWriter, r *http.Request, api API, next http.HandlerFunc) {
	fault, ok := e.faults.next(api)
	if !ok {
		next(w, r)
		return
	}
	e.log.Info("showing a fault", "api", api, "status", fault.Status)
	if fault.Hang {
		e.wait(r, nil)
		panic(http.ErrAbortHandler)
	}
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		e.wait(r, timer.C)
	}
	if fault.RetryAfter != "" {
		w.Header().Set("Retry-After", fault.RetryAfter)
	}
	switch {
	case fault.Body != "":
		contentType := fault.ContentType
		if contentType == "" {
			contentType = "text/html; charset=utf-8"
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(max(fault.Status, http.StatusOK))
		_, _ = w.Write([]byte(fault.Body)) // the caller has gone
	case fault.Status != 0 && api == APIToken:
		e.writeTokenError(w, tokenFault(fault))
	case fault.Status != 0:
		e.writeError(w, serviceFault(fault))
	case fault.Truncate:
		truncated(w, r, next)
	default:
		next(w, r)
	}
}

// wait returns when the caller gives up, the emulator is closed or until fires.
func (e *Emulator) wait(r *http.Request, until <-chan time.Time) {
	select {
	case <-r.Context().Done():
	case <-e.closed:
	case <-until:
	}
}

// serviceFault fills in what the service usually says with a status.
func serviceFault(f Fault) *serviceError {
	err := &serviceError{status: f.Status, inner: f.InnerCode, message: f.InnerMessage, target: f.Target}
	if f.NoInnerError || f.InnerCode != "" {
		return err
	}
	switch f.Status {
	case http.StatusBadRequest:
		err.inner, err.message = codeBadField, "The request contains a bad field."
	case http.StatusUnauthorized:
		err.inner, err.message, err.target = codeToken, "Provided access token is not valid", "access_token"
	case http.StatusForbidden:
		err.inner, err.message, err.target = codeToken, noAcceptableRoles(RoleCreateAll), "access_token"
	case http.StatusNotFound:
		err.inner, err.message = codeNotFound, "The resource was not found."
	case http.StatusTooManyRequests:
		err.inner, err.message = codeTransient, "Too many requests."
	case http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		err.inner, err.message = codeTransient, "Try again."
	}
	return err
}

// truncated announces the whole answer of next but sends half of it, then breaks the connection.
func truncated(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	whole := &bufferedWriter{header: w.Header(), status: http.StatusOK}
	next(whole, r)
	w.Header().Set("Content-Length", strconv.Itoa(whole.body.Len()))
	w.WriteHeader(whole.status)
	_, _ = w.Write(whole.body.Bytes()[:whole.body.Len()/2]) // the connection ends here either way
	_ = http.NewResponseController(w).Flush()               // without it the half would stay in the buffer
	panic(http.ErrAbortHandler)
}

// bufferedWriter keeps an answer instead of sending it.
type bufferedWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *bufferedWriter) Header() http.Header         { return w.header }
func (w *bufferedWriter) WriteHeader(status int)      { w.status = status }
func (w *bufferedWriter) Write(b []byte) (int, error) { return w.body.Write(b) }
