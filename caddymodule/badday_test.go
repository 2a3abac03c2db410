// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// lostWatch is a store whose watches end at once, as after its connection was lost, while it answers again.
type lostWatch struct{ verifier.Store }

func (lostWatch) Watch(context.Context, string) (<-chan struct{}, error) {
	lost := make(chan struct{})
	close(lost)
	return lost, nil
}

// The store has lost a watch and answers again. The status stream that it belonged to ends, and the browser comes again; it
// wrote to the browser without a pause, for as long as the code was valid.
func TestStreamEndsWithItsWatch(t *testing.T) {
	app, g, _ := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	app.store.Store = lostWatch{app.store.Store}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	r := requestWith(b)
	r.URL, _ = url.Parse(testOrigin + basePath + "/events?t=" + id)
	r.RequestURI = r.URL.RequestURI()
	original := *r
	w, _ := serve(t, g, withOriginal(r.WithContext(ctx), original))
	if n := strings.Count(w.Body.String(), "\n\n"); ctx.Err() != nil || n > 2 {
		t.Errorf("the stream has sent %d messages in a second (%v)", n, ctx.Err())
	}
}

// timedWriter notes read deadlines.
type timedWriter struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (w *timedWriter) SetReadDeadline(deadline time.Time) error {
	w.deadline = deadline
	return nil
}

// timedBody notes how long its reader is willing to wait.
type timedBody struct {
	io.Reader
	w    *timedWriter
	left time.Duration
}

func (b *timedBody) Read(p []byte) (int, error) {
	b.left = time.Until(b.w.deadline)
	return b.Reader.Read(p)
}

func (b *timedBody) Close() error { return nil }

// X18: somebody sends a form, or a callback, a byte a minute, a thousand times at once. Each is waited for ten seconds and no
// longer. Afterwards there is no deadline any more: it would cut off who waits for the Request Service.
func TestSlowSendersAreNotWaitedFor(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	b.begin("/")
	_, _, key := s.last(t)
	for path, header := range map[string]http.Header{
		"/request":  {"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"same-origin"}},
		"/finish":   {"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"same-origin"}},
		"/callback": {"Content-Type": {"application/json"}, "Authorization": {key}},
	} {
		w := &timedWriter{ResponseRecorder: httptest.NewRecorder()}
		body := &timedBody{Reader: strings.NewReader("{}"), w: w}
		r := request("POST", testOrigin+basePath+path, header)
		r.Body, r.ContentLength = body, -1
		if err := g.ServeHTTP(w, r, &upstream{}); err != nil {
			t.Fatal(err)
		}
		if body.left <= 0 || body.left > 10*time.Second {
			t.Errorf("%s: the body is waited for %v", path, body.left)
		}
		if !w.deadline.IsZero() {
			t.Errorf("%s: the deadline outlives the body", path)
		}
	}
}
