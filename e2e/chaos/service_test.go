// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"
)

// keyring knows which callback key was agreed on for each presentation request, and which node asked for it.
type keyring struct {
	mu   sync.Mutex
	keys map[string]agreed
}

type agreed struct {
	key  string
	node int
}

func (k *keyring) set(request string, a agreed) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[request] = a
}

func (k *keyring) get(request string) (agreed, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a, ok := k.keys[request]
	return a, ok
}

// service is the emulator's Request Service, which writes down what it accepts.
func (w *world) service(next http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/createPresentationRequest") {
			next.ServeHTTP(answer, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			answer.WriteHeader(http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var asked struct {
			Registration struct{ ClientName string }
			Callback     struct{ Headers map[string]string }
		}
		if err := json.Unmarshal(body, &asked); err != nil {
			w.t.Errorf("a node asks the service for %q", body)
		}
		node := int(asked.Registration.ClientName[len(asked.Registration.ClientName)-1] - '1')
		tee := &tee{ResponseWriter: answer}
		next.ServeHTTP(tee, r)
		var created struct{ RequestID string }
		if tee.status != http.StatusCreated || json.Unmarshal(tee.body.Bytes(), &created) != nil || created.RequestID == "" {
			return
		}
		w.keys.set(created.RequestID, agreed{asked.Callback.Headers["Authorization"], node})
		w.recorder.keep(func(h *History) { h.Created = append(h.Created, Creation{created.RequestID, node, time.Now()}) })
		if http.NewResponseController(answer).Flush() == nil { // the node has it, or it will never come
			w.triggers.fire(AtCreated, node)
		}
	})
}

// tee passes an answer on and keeps a copy.
type tee struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (t *tee) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

func (t *tee) Write(p []byte) (int, error) {
	t.body.Write(p)
	return t.ResponseWriter.Write(p)
}

func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// network carries what the emulator and the partner send: callbacks and requests for keys to any node, and the wallets' requests to
// the service.
type network struct {
	w    *world
	base http.RoundTripper
}

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	way := &route{order: n.w.anyOrder(rand.IntN)}
	if r.URL.Port() != n.w.port || !strings.HasSuffix(r.URL.Path, "/callback") {
		return n.base.RoundTrip(r.WithContext(context.WithValue(r.Context(), routeKey{}, way)))
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var said struct {
		RequestID, RequestStatus string
		VerifiedCredentialsData  []struct{ Claims struct{ DisplayName string } }
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return nil, err
	}
	a, known := n.w.keys.get(said.RequestID)
	if known && !n.w.shared {
		way.order = []int{a.node}
	}
	d := Delivery{
		Request: said.RequestID, Status: said.RequestStatus, Forged: !known || r.Header.Get("Authorization") != a.key,
		Span: Span{Began: time.Now()},
	}
	if len(said.VerifiedCredentialsData) > 0 {
		d.Holder = said.VerifiedCredentialsData[0].Claims.DisplayName
	}
	stage := AtRetrieved
	if said.RequestStatus == statusVerified {
		stage = AtVerified
	}
	n.w.triggers.draw(stage, way.order)
	ctx := httptrace.WithClientTrace(context.WithValue(r.Context(), routeKey{}, way), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { n.w.triggers.fire(stage, way.came()) },
	})
	r = r.Clone(ctx)
	r.Body, r.GetBody = io.NopCloser(bytes.NewReader(body)), nil
	response, err := n.base.RoundTrip(r)
	d.Ended, d.Node = time.Now(), way.came()
	if err == nil {
		d.Answer = response.StatusCode
	}
	n.w.recorder.keep(func(h *History) { h.Deliveries = append(h.Deliveries, d) })
	return response, err
}

// anyOrder is the nodes in an order by chance.
func (w *world) anyOrder(intN func(int) int) []int {
	order := make([]int, len(w.nodes))
	for i := range order {
		j := intN(i + 1)
		order[i], order[j] = order[j], i
	}
	return order
}
