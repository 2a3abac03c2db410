// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// Whoever reads the access log of Caddy has the key that makes a result, unless it travels in a header that Caddy does not
// print. By default it does; the other header, for who needs it, is printed, and the docs say how to filter it. TM-055.
func TestCallbackKeyIsNotInTheAccessLog(t *testing.T) {
	for option, printed := range map[string]bool{"": false, "callback_header authorization": false, "callback_header api-key": true} {
		app, ctx := loadApp(t, testApp(option))
		g := loadGate(t, ctx, "verified_id")
		s := newService(t, app)
		newBrowser(t, g).begin("/")
		s.mu.Lock()
		sent := s.requests[0].Callback.Headers
		s.mu.Unlock()
		if len(sent) != 1 {
			t.Fatalf("%q: callback headers %v, want one", option, sent)
		}
		header, secret := http.Header{}, ""
		for name, value := range sent {
			header.Set(name, value)
			_, secret, _ = strings.Cut(value, ".")
		}
		logged := watchLog(g)
		r := request("POST", testOrigin+basePath+"/callback", header)
		logged.logger().Info("handled request", zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: r}))
		line, err := json.Marshal(logged.All()[0].ContextMap())
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(line), secret); secret == "" || got != printed {
			t.Errorf("%q: printed %v, want %v: %s", option, got, printed, line)
		}
		if w := callbackWith(t, g, header, "{}"); w.Code != http.StatusBadRequest {
			t.Errorf("%q: status %d, want 400: the key is good, the body is not", option, w.Code)
		}
		if strings.Contains(logged.text(), secret) && !printed {
			t.Errorf("%q: we log the key", option)
		}
	}
}

func callbackWith(t *testing.T, g *Gate, header http.Header, body string) *httptest.ResponseRecorder {
	t.Helper()
	header = header.Clone()
	header.Set("Content-Type", "application/json")
	r := request("POST", testOrigin+basePath+"/callback", header)
	r.Body = readCloser{strings.NewReader(body)}
	w, _ := serve(t, g, r)
	return w
}

// countingStore counts look-ups.
type countingStore struct {
	verifier.Store
	gets int
}

func (c *countingStore) Get(ctx context.Context, id string) (verifier.Transaction, error) {
	c.gets++
	return c.Store.Get(ctx, id)
}

// A stranger measures: an answer that comes sooner for an id that does not exist tells him which exist. Each key costs one
// look-up and one comparison, whatever is wrong with it. TM-058.
func TestForgedKeysCostTheSame(t *testing.T) {
	app, g, _ := journeyGate(t, "", mailGate)
	id := newBrowser(t, g).begin("/")
	counting := &countingStore{Store: app.store.Store}
	app.store.Store = counting
	for name, key := range map[string]string{
		"none": "", "no id": "Bearer .secret", "unknown id": "Bearer " + strings.Repeat("A", len(id)) + ".secret", "no secret": "Bearer " + id,
		"wrong secret": "Bearer " + id + ".secret", "long": "Bearer " + id + "." + strings.Repeat("x", 4096), "other scheme": "Basic " + id + ".secret",
	} {
		counting.gets = 0
		if w := callbackWith(t, g, http.Header{"Authorization": {key}}, "{}"); w.Code != http.StatusUnauthorized || counting.gets != 1 || w.Body.Len() != 0 {
			t.Errorf("%s: status %d with %q after %d look-ups, want 401 with nothing after one", name, w.Code, w.Body, counting.gets)
		}
	}
}

// The callback comes from a machine. Cookies that somebody sends along decide nothing and none is set; no page of another
// site may send one, and the answer is no redirect that could carry the key on. TM-065.
func TestCallbackKnowsNoBrowser(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	requestID, state, key := s.last(t)
	_, cookie := sessionOf(g, presentation(g))
	for name, c := range map[string]struct {
		key, body string
		want      int
	}{
		"forged":     {"Bearer x.y", verified(requestID, state), http.StatusUnauthorized},
		"malformed":  {key, "{", http.StatusBadRequest},
		"foreign":    {key, verified("other", state), http.StatusBadRequest},
		"verified":   {key, verified(requestID, state), http.StatusOK},
		"once more":  {key, verified(requestID, state), http.StatusOK},
		"with other": {key, verified(requestID, state, "ana@", "boss@"), http.StatusConflict},
	} {
		if name != "forged" && name != "malformed" && name != "foreign" && statusOf(t, app, id) == verifier.StatusCreated {
			callback(t, g, key, verified(requestID, state))
		}
		w := callbackWith(t, g, http.Header{
			"Authorization": {c.key}, "Cookie": {cookie + "; " + g.site.binding.Name + "=" + b.cookies[g.site.binding.Name]},
			"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}, "Access-Control-Request-Method": {"POST"},
		}, c.body)
		if w.Code != c.want || w.Body.Len() != 0 {
			t.Errorf("%s: status %d with %q, want %d with nothing", name, w.Code, w.Body, c.want)
		}
		for _, header := range []string{"Set-Cookie", "Location", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Refresh", "Www-Authenticate"} {
			if got := w.Header().Get(header); got != "" {
				t.Errorf("%s: %s: %s", name, header, got)
			}
		}
	}
}

// The wallet shows the holder an error if we do not answer. A browser that follows the transaction and reads nothing must
// not make us late. TM-065.
func TestCallbackDoesNotWaitForABrowser(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	requestID, state, key := s.last(t)
	if _, err := app.store.Watch(t.Context(), id); err != nil { // nobody reads from it
		t.Fatal(err)
	}
	states, _ := follow(t, streamServer(t, g), b, id) // nor from this, after the first word
	<-states
	done := make(chan int)
	go func() {
		done <- callback(t, g, key, `{"requestId":"`+requestID+`","requestStatus":"request_retrieved","state":"`+state+`"}`).Code
		done <- callback(t, g, key, verified(requestID, state)).Code
	}()
	for range 2 {
		select {
		case status := <-done:
			if status != http.StatusOK {
				t.Errorf("status %d, want 200", status)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("the callback waits for a browser")
		}
	}
}

// parked is a body that does not come.
type parked struct {
	begun chan<- struct{}
	until <-chan struct{}
}

func (p parked) Read([]byte) (int, error) {
	select {
	case p.begun <- struct{}{}:
	default:
	}
	<-p.until
	return 0, context.Canceled
}

func (parked) Close() error { return nil }

// noticingBody knows whether anybody has begun to read it.
type noticingBody struct {
	*strings.Reader
	begun bool
}

func (n *noticingBody) Read(p []byte) (int, error) {
	n.begun = true
	return n.Reader.Read(p)
}

func (*noticingBody) Close() error { return nil }

// leavingStore has the client leave as soon as its key has been looked up.
type leavingStore struct {
	verifier.Store
	leave func()
}

func (l leavingStore) Get(ctx context.Context, id string) (verifier.Transaction, error) {
	defer l.leave()
	return l.Store.Get(ctx, id)
}

// A thousand callbacks of ten megabytes would take all memory if they were read at once. So many are read, the others wait
// for their turn, and who leaves gives his place in the queue up. TM-059.
func TestCallbacksAtOnceAreBounded(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	newBrowser(t, g).begin("/")
	requestID, state, key := s.last(t)
	begun, release := make(chan struct{}, callbacksAtOnce+1), make(chan struct{})
	ended := make(chan int, callbacksAtOnce)
	for range callbacksAtOnce {
		r := request("POST", testOrigin+basePath+"/callback", http.Header{"Content-Type": {"application/json"}, "Authorization": {key}})
		r.Body = parked{begun, release}
		go func() {
			w := httptest.NewRecorder()
			if err := g.ServeHTTP(w, r, &upstream{}); err != nil {
				t.Error(err)
			}
			ended <- w.Code
		}()
	}
	for range callbacksAtOnce {
		<-begun
	}
	if held := len(callbackSlots); held != cap(callbackSlots) || held != callbacksAtOnce {
		t.Errorf("%d of %d places are taken", held, cap(callbackSlots))
	}
	read := &noticingBody{Reader: strings.NewReader(verified(requestID, state))}
	r := request("POST", testOrigin+basePath+"/callback", http.Header{"Content-Type": {"application/json"}, "Authorization": {key}})
	r.Body = read
	gone, leave := context.WithCancel(r.Context())
	g.app.store.Store = leavingStore{g.app.store.Store, leave}
	if w, _ := serve(t, g, r.WithContext(gone)); w.Code != http.StatusServiceUnavailable || read.begun {
		t.Errorf("one more: status %d, read %v; want 503, unread", w.Code, read.begun)
	}
	g.app.store.Store = g.app.store.Store.(leavingStore).Store //nolint:forcetypeassert // we put it there
	close(release)
	for range callbacksAtOnce {
		if status := <-ended; status != http.StatusBadRequest {
			t.Errorf("a body that broke off: status %d, want 400", status)
		}
	}
	if w := callback(t, g, key, verified(requestID, state)); w.Code != http.StatusOK {
		t.Errorf("afterwards: status %d, want 200", w.Code)
	}
}

// Somebody has got hold of keys, or a claim is as large as it can be: callbacks of ten megabytes take all the places and come
// slowly. People whose callbacks are of the usual size do not stand in that queue. TM-059.
func TestUsualCallbackDoesNotWaitForBigOnes(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	newBrowser(t, g).begin("/")
	requestID, state, key := s.last(t)
	begun, release := make(chan struct{}, callbacksAtOnce), make(chan struct{})
	var all sync.WaitGroup
	for range callbacksAtOnce {
		r := request("POST", testOrigin+basePath+"/callback", http.Header{"Content-Type": {"application/json"}, "Authorization": {key}})
		r.Body, r.ContentLength = parked{begun, release}, smallCallback+1
		all.Go(func() {
			if err := g.ServeHTTP(httptest.NewRecorder(), r, &upstream{}); err != nil {
				t.Error(err)
			}
		})
	}
	for range callbacksAtOnce {
		<-begun
	}
	body := verified(requestID, state)
	r := request("POST", testOrigin+basePath+"/callback", http.Header{"Content-Type": {"application/json"}, "Authorization": {key}})
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	patient, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	if w, _ := serve(t, g, r.WithContext(patient)); w.Code != http.StatusOK {
		t.Errorf("a usual callback behind %d big ones: status %d, want 200", callbacksAtOnce, w.Code)
	}
	close(release)
	all.Wait()
}

// A card, or a callback, names addresses: the issuer's DID, its domain, schemas, logos, status lists. A server that fetches
// them can be sent into the operator's own network. Nothing that comes is fetched. TM-152.
func TestNothingInACallbackIsFetched(t *testing.T) {
	var dialled atomic.Int32
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	trap := &httptest.Server{Listener: listener, Config: &http.Server{ReadHeaderTimeout: time.Second, Handler: http.NotFoundHandler(), ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dialled.Add(1)
		}
	}}}
	trap.Start()
	t.Cleanup(trap.Close)
	host := strings.TrimPrefix(trap.URL, "http://")
	did := "did:web:" + strings.Replace(host, ":", "%3A", 1)
	_, ctx := loadApp(t, strings.ReplaceAll(testApp(""), "issuer     "+testIssuer, "issuer "+did+" "+testIssuer))
	g := loadGate(t, ctx, "verified_id {\n header X-Logo {claim.logo}\n}")
	s := newService(t, g.app)
	b := newBrowser(t, g)
	id := b.begin("/")
	requestID, state, key := s.last(t)
	body := verified(requestID, state, testIssuer, did, "https://contoso.example/", trap.URL+"/", `"photo"`,
		`"logo":"`+trap.URL+`/logo.png","$schema":"`+trap.URL+`/schema","photo"`, `"subject":"did:ion:ana"`, `"subject":"`+did+`","@context":"`+trap.URL+`/context"`,
		`"revocationStatus":"VALID"`, `"revocationStatus":"VALID","statusListCredential":"`+trap.URL+`/status"`)
	if w := callback(t, g, key, body); w.Code != http.StatusOK {
		t.Fatalf("status %d", w.Code)
	}
	b.finish(id)
	b.open(basePath + "/session")
	if _, u := b.open("/"); u.hits != 1 || u.seen.Header.Get("X-Logo") == "" {
		t.Errorf("%d hits upstream with the logo %q; the test no longer shows anything", u.hits, u.seen.Header.Get("X-Logo"))
	}
	if n := dialled.Load(); n != 0 {
		t.Errorf("%d connections to an address out of a callback", n)
	}
}

// The page that waits is told one word of a closed list and when to ask again: not who the holder is, which request it was,
// what went wrong. It is read over a shoulder and by every script of our page. TM-077.
func TestStatusIsOneWord(t *testing.T) {
	words := map[string]bool{"created": true, "retrieved": true, "verified": true, "consumed": true, "refused": true, "failed": true, "expired": true, "cancelled": true}
	_, g, s := journeyGate(t, "limits {\n starts_per_client 1000\n starts_per_second 1000\n}", mailGate)
	retrieved := func(id, state string) string {
		return `{"requestId":"` + id + `","requestStatus":"request_retrieved","state":"` + state + `"}`
	}
	failed := func(id, state string) string {
		return `{"requestId":"` + id + `","requestStatus":"presentation_error","state":"` + state + `","error":{"code":"CANARY-CODE","message":"CANARY-MESSAGE"}}`
	}
	for want, events := range map[string][]func(id, state string) string{
		"created": nil, "retrieved": {retrieved}, "failed": {retrieved, failed},
		"verified": {func(id, state string) string { return verified(id, state) }},
		"refused":  {func(id, state string) string { return verified(id, state, "91.5", "51.5") }},
	} {
		b := newBrowser(t, g)
		id := b.begin("/")
		requestID, state, key := s.last(t)
		for _, event := range events {
			callback(t, g, key, event(requestID, state))
		}
		check := func(want string) {
			t.Helper()
			w, _ := b.send("GET", basePath+"/status?t="+id, nil, http.Header{"Sec-Fetch-Site": {"same-origin"}})
			var got map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%s: %q: %v", want, w.Body, err)
			}
			word, _ := got["state"].(string)
			if len(got) != 2 || word != want || !words[word] || got["retry"] != 1.0 {
				t.Errorf("status says %s, want the word %s and when to ask again", w.Body, want)
			}
			for _, canary := range []string{"CANARY", "ana", "ion", requestID, state, "face", "51.5"} {
				if strings.Contains(w.Body.String(), canary) {
					t.Errorf("status says %s", w.Body)
				}
			}
		}
		check(want)
		if want == "verified" {
			b.finish(id)
			check("consumed")
		}
		if want == "created" {
			setNow(testNow.Add(codeLifetime + time.Second))
			check("expired")
			setNow(testNow)
		}
	}
	b := newBrowser(t, g)
	b.begin("/")
	for _, id := range []string{"", "x", url.QueryEscape("<b>"), strings.Repeat("A", 22), strings.Repeat("A", 1<<12)} {
		w, _ := b.send("GET", basePath+"/status?t="+id, nil, http.Header{"Sec-Fetch-Site": {"same-origin"}})
		if w.Code != http.StatusNotFound || w.Body.Len() != 0 {
			t.Errorf("status of %.20q: %d %q, want 404 and nothing", id, w.Code, w.Body)
		}
	}
}
