// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// captured is a Request Service that keeps each request as it came.
type captured struct {
	mu     sync.Mutex
	bodies []string
}

func captureService(t *testing.T, app *App) *captured {
	t.Helper()
	c := &captured{}
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		c.bodies = append(c.bodies, string(body))
		n := len(c.bodies)
		c.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"requestId":"request-%d","url":"openid-vc://?request_uri=%s/v1.0/%d","expiry":%d}`, n, server.URL, n, clockNow().Unix()+300)
	}))
	t.Cleanup(server.Close)
	client, err := verifier.NewClient(verifier.ClientConfig{ServiceURL: server.URL, Tokens: staticToken("token"), InsecureHTTP: true, Now: clockNow})
	if err != nil {
		t.Fatal(err)
	}
	app.client = client
	return c
}

// only is the one request that was sent.
func (c *captured) only(t *testing.T) string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.bodies) != 1 {
		t.Fatalf("%d requests, want 1", len(c.bodies))
	}
	return c.bodies[0]
}

// The wallet says who asks and why, and the holder has nothing else to judge by. An attacker who starts the transaction
// writes a lie into his request: a User-Agent that reads like a reassuring line, a host, a language. Only what the operator
// wrote gets into the wallet. TM-037, TM-046.
func TestWalletShowsOnlyWhatTheOperatorWrote(t *testing.T) {
	app, ctx := loadApp(t, testApp(`purpose "Open the payroll. Decline if you did not start this."`))
	g := loadGate(t, ctx, "verified_id")
	c := captureService(t, app)
	const lie = "Your bank asks you to confirm"
	b := newBrowser(t, g)
	start, _ := b.open(basePath + "/start?purpose=" + url.QueryEscape(lie))
	r := request("POST", testOrigin+basePath+"/request?clientName="+url.QueryEscape(lie), http.Header{
		"Sec-Fetch-Site": {"same-origin"}, "Content-Type": {"application/x-www-form-urlencoded"}, "User-Agent": {lie + "\r\n" + lie},
		"Accept-Language": {lie}, "Sec-Ch-Ua": {lie}, "Sec-Ch-Ua-Platform": {lie}, "Referer": {"https://" + lie}, "X-Forwarded-Host": {lie},
	})
	r.Host = lie
	r.Body = readCloser{strings.NewReader(url.Values{
		"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}, "purpose": {lie}, "clientName": {lie}, "client_name": {lie},
	}.Encode())}
	for name, value := range b.cookies {
		r.Header.Add("Cookie", name+"="+value)
	}
	if w, _ := serve(t, g, r); w.Code != http.StatusSeeOther {
		t.Fatalf("status %d", w.Code)
	}
	body := c.only(t)
	if strings.Contains(body, "bank") {
		t.Errorf("the lie is on its way to the wallet: %s", body)
	}
	var sent struct {
		Registration map[string]string `json:"registration"`
	}
	if err := json.Unmarshal([]byte(body), &sent); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"clientName": "Contoso Payroll", "purpose": "Open the payroll. Decline if you did not start this."}
	if !maps.Equal(sent.Registration, want) {
		t.Errorf("registration %q, want %q", sent.Registration, want)
	}
	for _, bad := range []string{"two\nlines", "a\u202eb", "a\u200fb", "a\x1b[31m", "a\x00", strings.Repeat("x", 201), "a\xff"} {
		if err := checkText("purpose", bad, 0, 200); err == nil {
			t.Errorf("purpose %q loads", bad)
		}
	}
}

// A phisher reads the code before his victim does: the link, the request id and everything in the request are his. He tries
// to make a session of them at every address of ours, as parameter, form field and header. TM-040, TM-029.
func TestNothingInTheCodeOpensAnything(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	victim, attacker := newBrowser(t, g), newBrowser(t, g)
	id := victim.begin("/")
	page, _ := victim.open(basePath + "/wait?t=" + id)
	link := page.Body.String()[strings.Index(page.Body.String(), "openid-vc://"):]
	link = link[:strings.IndexByte(link, '"')]
	requestID, state, key := s.last(t)
	callback(t, g, key, verified(requestID, state))
	start, _ := attacker.open(basePath + "/start")
	own := tokenIn(t, start.Body.String())
	for _, known := range []string{requestID, state, link, id, strings.TrimPrefix(link, "openid-vc://?request_uri=")} {
		for _, e := range endpoints {
			if e.path == "/callback" {
				continue // its key is not in the code; see TestForgedCallback
			}
			form := url.Values{"token": {own}, "t": {known}, "id": {known}, "code": {known}, "state": {known}, "requestId": {known}, "pid": {known}, "credential": {"employee"}}
			header := http.Header{"Sec-Fetch-Site": {"same-origin"}, "Accept": {"text/html"}, "Authorization": {"Bearer " + known}, "X-Request-Id": {known}}
			for _, method := range []string{"GET", "POST"} {
				attacker.send(method, basePath+e.path+"?t="+url.QueryEscape(known)+"&state="+url.QueryEscape(known), form, header)
			}
		}
		if _, has := attacker.cookies[g.site.session.Name]; has {
			t.Fatalf("%q made a session", known)
		}
	}
	if _, u := attacker.open("/"); u.hits != 0 {
		t.Error("the attacker is in")
	}
	if got := statusOf(t, app, id); got != verifier.StatusVerified {
		t.Errorf("the victim's transaction is %s, want verified", got)
	}
	if w := victim.finish(id); onward(w) != "/" {
		t.Errorf("the victim is not let in: status %d", w.Code)
	}
}

// The relay: Mallory, logged in as herself, starts in her own browser and talks Ana into scanning the code. Wallet, face and
// card are genuine. With bind the presentation must be that of the account that is logged in, so Mallory gets nothing for
// it; and where no login has said who is there, nothing is asked of anybody. TM-041.
func TestRelayedPresentationFitsNobodyElse(t *testing.T) {
	const account = "VERIFIED_ID_TEST_ACCOUNT" // stands for {http.auth.user.id} of another login
	app, g, s := journeyGate(t, "", "verified_id {\n bind mail {env."+account+"}\n}")
	t.Setenv(account, "mallory@contoso.example")
	mallory := newBrowser(t, g)
	id := mallory.begin("/")
	requestID, state, key := s.last(t)
	callback(t, g, key, verified(requestID, state))
	transaction, err := app.store.Get(t.Context(), id)
	if err != nil || transaction.Status != verifier.StatusRefused {
		t.Errorf("Ana's presentation for Mallory: transaction %s for %q (%v), want refused", transaction.Status, transaction.Reason, err)
	}

	t.Setenv(account, "ana@contoso.example")
	ana := newBrowser(t, g)
	id = ana.begin("/")
	requestID, state, key = s.last(t)
	callback(t, g, key, verified(requestID, state))
	ana.finish(id)
	if _, u := ana.open("/"); u.hits != 1 {
		t.Fatal("Ana herself is not let in")
	}
	// Her session is worth nothing to whoever else is logged in, nor where nobody is.
	for _, other := range []string{"mallory@contoso.example", "Ana@contoso.example", "ana@contoso.example ", ""} {
		t.Setenv(account, other)
		if w, u := ana.open("/"); u.hits != 0 {
			t.Errorf("the session of Ana served %q: status %d", other, w.Code)
		}
	}

	calls := s.calls()
	t.Setenv(account, "ana@contoso.example")
	b := newBrowser(t, g)
	start, _ := b.open(basePath + "/start")
	t.Setenv(account, "")
	w := b.post(basePath+"/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
	if w.Code != http.StatusForbidden || s.calls() != calls {
		t.Errorf("with nobody logged in: status %d after %d calls of the service, want 403 and none", w.Code, s.calls()-calls)
	}
}

// The bound value goes to the wallet as a constraint, so that it offers the right card; it is checked again by us. TM-041.
func TestBoundValueIsAskedFor(t *testing.T) {
	t.Setenv("VERIFIED_ID_TEST_ACCOUNT", "ana@contoso.example")
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n bind mail {env.VERIFIED_ID_TEST_ACCOUNT}\n}")
	c := captureService(t, app)
	newBrowser(t, g).begin("/")
	if body := c.only(t); !strings.Contains(body, `"constraints":[{"claimName":"mail","values":["ana@contoso.example"]}]`) {
		t.Errorf("no constraint in %s", body)
	}
}

// A receipt is the raw proof, with everything in it that the holder showed. It is not asked for; one that comes all the
// same decides nothing, not even with other claims than the rest, and is gone before anything is stored. TM-154.
func TestReceiptDecidesNothing(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	requestID, state, key := s.last(t)
	s.mu.Lock()
	if s.requests[0].IncludeReceipt {
		t.Error("a receipt was asked for")
	}
	s.mu.Unlock()
	receipt := `"receipt":{"vp_token":"CANARY-RECEIPT.eyJtYWlsIjoiYm9zc0Bjb250b3NvLmV4YW1wbGUifQ.x","state":"other","claims":{"mail":"boss@contoso.example"}},`
	// A good receipt beside a bad presentation lets nobody in.
	bad := verified(requestID, state, `"subject"`, receipt+`"subject"`, `"VALID"`, `"REVOKED"`)
	if w := callback(t, g, key, bad); w.Code != http.StatusOK || statusOf(t, app, id) != verifier.StatusRefused {
		t.Errorf("bad presentation with a receipt: status %d, transaction %s, want refused", w.Code, statusOf(t, app, id))
	}
	// And a good presentation is what it is, whatever the receipt says.
	id = b.begin("/")
	requestID, state, key = s.last(t)
	callback(t, g, key, verified(requestID, state, `"subject"`, receipt+`"subject"`))
	transaction, err := app.store.Get(t.Context(), id)
	if err != nil || transaction.Presentation == nil {
		t.Fatalf("transaction %s (%v)", transaction.Status, err)
	}
	kept, err := json.Marshal(transaction)
	if err != nil || strings.Contains(string(kept), "CANARY-RECEIPT") || strings.Contains(string(kept), "boss@") {
		t.Errorf("the receipt is kept (%v): %s", err, kept)
	}
	b.finish(id)
	if _, u := b.open("/"); u.hits != 1 || u.seen.Header.Get("X-Employee-Mail") != "ana@contoso.example" {
		t.Errorf("%d hits upstream with mail %q", u.hits, u.seen.Header.Get("X-Employee-Mail"))
	}
}
