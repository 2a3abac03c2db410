// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
)

const (
	// MarkHeader is on every answer of the emulator, with the value 1. The real service never sends it.
	MarkHeader = "X-Verified-Id-Emulator"

	maxAPIBody    = 1 << 20  // documented for issuance; above it the service answers 400
	maxWalletBody = 10 << 20 // cards with photos, wrapped twice
)

// handlerFunc serves one API. An error is answered with the service's error body.
type handlerFunc func(w http.ResponseWriter, r *http.Request) error

// ServiceHandler serves both request APIs and the Network API, what wallets fetch and post, manifests, DID documents and status lists:
// all paths under /v1.0/, /beta/, /.well-known/ and /domains/. Anything else is answered with the service's 404.
func (e *Emulator) ServiceHandler() http.Handler {
	mux := http.NewServeMux()
	handle := func(method, path string, api API, maxBody int64, fn handlerFunc) {
		mux.Handle(path, e.endpoint(method, api, maxBody, fn))
	}
	// Samples written for the preview of Face Check still swap v1.0 for beta; the service takes both.
	for _, version := range []string{"v1.0", "beta"} {
		handle("POST", "/"+version+"/verifiablecredentials/createpresentationrequest", APICreatePresentation, maxAPIBody, e.createPresentation)
		handle("POST", "/"+version+"/verifiablecredentials/createissuancerequest", APICreateIssuance, maxAPIBody, e.createIssuance)
	}
	for _, tenant := range []string{"/v1.0/{tenant}", "/v1.0/tenants/{tenant}"} {
		handle("GET", tenant+"/verifiablecredentials/presentationrequests/{id}", APIRequestObject, maxAPIBody, e.serveRequestObject)
		handle("GET", tenant+"/verifiablecredentials/issuancerequests/{id}", APIRequestObject, maxAPIBody, e.serveRequestObject)
		handle("GET", tenant+"/verifiablecredentials/contracts/{contract}/manifest", APIManifest, maxAPIBody, e.serveManifest)
	}
	handle("POST", "/v1.0/{tenant}/verifiablecredential/card/issue", APIIssue, maxWalletBody, e.serveIssue)
	handle("POST", "/v1.0/verifiablecredentials/verifypresentation", APIVerifyPresentation, maxWalletBody, e.verifyPresentation)
	handle("POST", "/v1.0/verifiablecredentials/completeissuance", APICompleteIssuance, maxWalletBody, e.completeIssuance)
	handle("GET", "/v1.0/verifiablecredentialsnetwork/authorities", APINetwork, maxAPIBody, e.serveNetworkIssuers)
	for _, end := range []string{"", "/{$}"} { // the documents write a slash at the end
		handle("GET", "/v1.0/tenants/{tenant}/verifiablecredentialsnetwork/authorities/{id}/contracts"+end, APINetwork, maxAPIBody, e.serveNetworkTypes)
	}
	handle("GET", "/v1.0/identifiers/{did}", APIResolver, maxAPIBody, e.serveIdentifier)
	handle("POST", "/v1.0/hub/{tenant}", APIStatusList, maxAPIBody, e.serveHub)
	handle("GET", "/.well-known/did.json", APIResolver, maxAPIBody, e.serveDIDDocument)
	handle("GET", "/.well-known/did-configuration.json", APIResolver, maxAPIBody, e.serveDIDConfiguration)
	// The same two files for hosts that no DNS knows.
	handle("GET", "/domains/{host}/.well-known/did.json", APIResolver, maxAPIBody, e.serveDIDDocument)
	handle("GET", "/domains/{host}/.well-known/did-configuration.json", APIResolver, maxAPIBody, e.serveDIDConfiguration)
	handle("", "/", "", maxAPIBody, func(http.ResponseWriter, *http.Request) error {
		return notFound("", "The resource was not found.")
	})
	return e.guard(foldPath(mux))
}

// folded are the path segments whose spelling clients vary; the service ignores their case.
var folded = map[string]bool{
	"v1.0": true, "beta": true, "tenants": true, "verifiablecredentials": true, "verifiablecredential": true,
	"createpresentationrequest": true, "createissuancerequest": true, "presentationrequests": true,
	"issuancerequests": true, "verifypresentation": true, "completeissuance": true, "contracts": true,
	"manifest": true, "card": true, "issue": true, "identifiers": true, "verifiablecredentialsnetwork": true, "authorities": true,
}

// foldPath writes the fixed segments of a path in lower case. DIDs and ids stay as they are.
func foldPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		segments := strings.Split(r.URL.Path, "/")
		for i, segment := range segments {
			if lower := strings.ToLower(segment); folded[lower] {
				segments[i] = lower
			}
		}
		url := *r.URL
		url.Path, url.RawPath = strings.Join(segments, "/"), ""
		r2 := r.Clone(r.Context())
		r2.URL = &url
		next.ServeHTTP(w, r2)
	})
}

// endpoint is what every API has in common: the fault that is due, a bounded body, the method, the record.
func (e *Emulator) endpoint(method string, api API, maxBody int64, fn handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		header, kept := recordable(api, r.Header, body)
		answer := &statusWriter{ResponseWriter: w}
		defer func() {
			e.records.request(RecordedRequest{
				Time: e.Now(), API: api, Method: r.Method, Path: path, Header: header, Body: kept, Status: answer.status,
			})
			e.log.Debug("request answered", "api", api, "method", r.Method, "status", answer.status)
		}()
		if err != nil {
			if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
				e.writeError(answer, badField("", "The request body is too large."))
			}
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		e.serveWithFault(answer, r, api, func(w http.ResponseWriter, r *http.Request) {
			if method != "" && r.Method != method {
				w.Header().Set("Allow", method)
				e.writeError(w, &serviceError{status: http.StatusMethodNotAllowed})
				return
			}
			err := fn(w, r)
			if failure, ok := errors.AsType[*serviceError](err); ok {
				e.writeError(w, failure)
			} else if err != nil {
				e.log.Error("serving request failed", "api", api, "error", err)
				e.writeError(w, &serviceError{status: http.StatusInternalServerError})
			}
		})
	})
}

// guard marks every answer and keeps strangers out. The check of Host keeps a web page from reaching the wallet
// by pointing its own name at this machine (DNS rebinding).
func (e *Emulator) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(MarkHeader, "1")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !e.cfg.AllowNonLoopback && !e.fromThisMachine(r) {
			e.writeError(w, &serviceError{
				status: http.StatusForbidden, inner: "emulatorOnly",
				message: "The emulator answers this machine only.",
			})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (e *Emulator) fromThisMachine(r *http.Request) bool {
	remote, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !isLoopback(remote) {
		return false
	}
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	return isLoopback(name) || isReserved(name)
}

// statusWriter remembers the status for the record.
type statusWriter struct {
	http.ResponseWriter

	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
