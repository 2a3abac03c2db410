// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// streamServer serves the gate over real connections, as streams need.
func streamServer(t *testing.T, g *Gate) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		prepared := request(r.Method, testOrigin+r.URL.RequestURI(), r.Header)
		prepared = prepared.WithContext(withoutDeadline{prepared.Context(), r.Context()})
		if err := g.ServeHTTP(w, prepared, &upstream{}); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// withoutDeadline has the values of a prepared request and the life of the real one.
type withoutDeadline struct {
	context.Context
	life context.Context
}

func (c withoutDeadline) Done() <-chan struct{} { return c.life.Done() }
func (c withoutDeadline) Err() error            { return c.life.Err() }

// openStream asks for a stream. It ends with the test.
func openStream(t *testing.T, server *httptest.Server, b *browser, id string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/.verified-id/events?t="+id, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range b.cookies {
		r.Header.Add("Cookie", name+"="+value)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// follow opens a stream and hands over its states, then closes the channel.
func follow(t *testing.T, server *httptest.Server, b *browser, id string) (<-chan string, int) {
	t.Helper()
	response := openStream(t, server, b, id) //nolint:bodyclose // the goroutine below closes it
	states := make(chan string, 8)
	go func() {
		defer close(states)
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			if state, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				states <- state
			}
		}
	}()
	return states, response.StatusCode
}

func TestStreamTellsTheBrowser(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	requestID, state, key := s.last(t)
	states, status := follow(t, streamServer(t, g), b, id)
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if got := <-states; got != "created" {
		t.Errorf("first state %q, want created", got)
	}
	callback(t, g, key, `{"requestId":"`+requestID+`","requestStatus":"request_retrieved","state":"`+state+`"}`)
	if got := <-states; got != "retrieved" {
		t.Errorf("after the scan %q, want retrieved", got)
	}
	callback(t, g, key, verified(requestID, state))
	if got := <-states; got != "verified" {
		t.Errorf("after the answer %q, want verified", got)
	}
	if more, open := <-states; open {
		t.Errorf("the stream goes on after the last state with %q", more)
	}
}

// After a reload a thousand pages come back: within two seconds (X11), and not in the same moment, since each brings a TLS handshake.
func TestPagesComeBackOneAfterTheOther(t *testing.T) {
	_, g, _ := journeyGate(t, "", mailGate)
	server := streamServer(t, g)
	apart := map[time.Duration]bool{}
	for range 5 {
		b := newBrowser(t, g)
		response := openStream(t, server, b, b.begin("/"))
		defer response.Body.Close()
		line, err := bufio.NewReader(response.Body).ReadString('\n')
		milliseconds, told := strings.CutPrefix(strings.TrimSpace(line), "retry: ")
		retry, parsed := time.ParseDuration(milliseconds + "ms")
		if err != nil || !told || parsed != nil || retry < patience.StreamReturn || retry > 2*time.Second {
			t.Errorf("the stream begins with %q, %v, want when to come back, in %s to 2 s", line, err, patience.StreamReturn)
		}
		apart[retry] = true
	}
	if len(apart) == 1 {
		t.Errorf("all come back after %v", apart)
	}
}

// One visitor opens streams without end: two a transaction, then the page must poll. TM-078.
func TestStreamFlood(t *testing.T) {
	_, g, _ := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	server := streamServer(t, g)
	for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusServiceUnavailable} {
		states, status := follow(t, server, b, id)
		if status != want {
			t.Errorf("stream %d: status %d, want %d", i+1, status, want)
		}
		if status == http.StatusOK {
			<-states
		}
	}
}

// A reload ends the streams of the old config, or it would live as long as the slowest browser. TM-079.
func TestStreamEndsWithItsConfig(t *testing.T) {
	app, g, _ := journeyGate(t, "", mailGate)
	ctx, cancel := caddy.NewContext(app.ctx)
	app.ctx = ctx
	b := newBrowser(t, g)
	id := b.begin("/")
	states, _ := follow(t, streamServer(t, g), b, id)
	<-states
	cancel()
	if state, open := <-states; open {
		t.Errorf("the stream went on with %q", state)
	}
}

// Another site's script may not watch a visitor's way in. TM-080.
func TestStatusIsUnreadableElsewhere(t *testing.T) {
	_, g, _ := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	for site, want := range map[string]int{"same-origin": 200, "cross-site": 403, "same-site": 403} {
		for _, path := range []string{"/.verified-id/status?t="} {
			w, _ := b.send("GET", path+id, nil, http.Header{"Sec-Fetch-Site": {site}, "Sec-Fetch-Mode": {"cors"}, "Origin": {"https://evil.example"}})
			if w.Code != want || w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s from %s: status %d with %v, want %d without CORS", path, site, w.Code, w.Header(), want)
			}
			if want == http.StatusOK && strings.TrimSpace(w.Body.String()) != `{"state":"created","retry":1}` {
				t.Errorf("status says %q", w.Body)
			}
		}
	}
}
