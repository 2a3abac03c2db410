// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// service stands before the emulator's Request Service: it answers as slowly and fails as often as it is told, counts, and
// remembers where the callbacks go, for scenarios that send those themselves.
type service struct {
	emulator *emulator.Emulator
	next     http.Handler
	// delay is how long a presentation request takes.
	delay time.Duration
	// faults is how many of a hundred presentation requests fail.
	faults atomic.Int64
	// remember keeps the targets.
	remember bool

	calls, failed atomic.Int64

	mu      sync.Mutex
	targets map[string]target // by transaction
}

// target is where the callbacks of one transaction go.
type target struct {
	URL       string            `json:"url"`
	State     string            `json:"state"`
	Headers   map[string]string `json:"headers"`
	requestID string
}

// ServeHTTP implements [http.Handler].
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(strings.ToLower(r.URL.Path), "/createpresentationrequest") {
		s.next.ServeHTTP(w, r)
		return
	}
	n := s.calls.Add(1)
	if percent := s.faults.Load(); percent > 0 && n%(100/percent) == 0 {
		s.failed.Add(1)
		s.emulator.Faults().Inject(emulator.APICreatePresentation, emulator.Fault{Status: http.StatusServiceUnavailable, Times: 1})
	}
	if s.delay > 0 && !pause(r.Context(), s.delay) {
		return
	}
	if !s.remember {
		s.next.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	kept := &keptAnswer{ResponseWriter: w}
	s.next.ServeHTTP(kept, r)
	s.keep(body, kept.body.Bytes())
}

// keep reads where the callbacks go out of a request and its answer. The callback's key begins with the transaction.
func (s *service) keep(asked, answered []byte) {
	var request struct{ Callback target }
	var answer struct{ RequestID string }
	if json.Unmarshal(asked, &request) != nil || json.Unmarshal(answered, &answer) != nil || answer.RequestID == "" {
		return
	}
	t := request.Callback
	t.requestID = answer.RequestID
	for _, value := range t.Headers {
		transaction, _, _ := strings.Cut(strings.TrimPrefix(value, "Bearer "), ".")
		s.mu.Lock()
		if s.targets == nil {
			s.targets = map[string]target{}
		}
		s.targets[transaction] = t
		s.mu.Unlock()
	}
}

func (s *service) target(transaction string) (target, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.targets[transaction]
	return t, ok
}

// keptAnswer remembers what is answered.
type keptAnswer struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (k *keptAnswer) Write(p []byte) (int, error) {
	k.body.Write(p)
	return k.ResponseWriter.Write(p)
}
