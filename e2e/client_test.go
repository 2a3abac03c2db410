// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strings"
)

// client is a visitor without a screen: it keeps cookies, says where its requests come from as browsers do, and follows
// nothing by itself. Its requests may fail, for the server may be killed under them.
type client struct {
	w    *world
	http *http.Client
	// sent, if set, runs once a request is on its way and before its answer.
	sent func()
	// transaction is what the client waits for; token is that of the last page.
	transaction, token string
}

// newClient returns a visitor who reaches the node at the address.
func (w *world) newClient(address string) *client {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	transport := w.client.Transport.(*http.Transport).Clone() //nolint:forcetypeassert // the world made it
	transport.DisableKeepAlives = true
	transport.DialContext = func(ctx context.Context, network, at string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(at)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(address, port))
	}
	return &client{w: w, http: &http.Client{
		Jar: jar, Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is what a request came to.
type answer struct {
	status       int
	to, page     string
	retryAfter   string
	setsASession bool
	clears       bool // a cookie
}

var (
	pageToken  = regexp.MustCompile(`name="token" value="([^"]+)"`)
	walletLink = regexp.MustCompile(`href="(openid-vc://[^"]+)"`)
)

func (c *client) send(method, path string, form url.Values) (answer, error) {
	ctx := c.w.t.Context()
	if c.sent != nil {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { c.sent() }})
	}
	r, err := http.NewRequestWithContext(ctx, method, c.w.origin+path, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	for name, value := range map[string]string{
		"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin", "Accept": "text/html",
		"Content-Type": "application/x-www-form-urlencoded",
	} {
		r.Header.Set(name, value)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: response.StatusCode, to: response.Header.Get("Location"), page: string(body), retryAfter: response.Header.Get("Retry-After")}
	for _, cookie := range response.Cookies() {
		a.setsASession = a.setsASession || !strings.HasSuffix(cookie.Name, "-binding") && cookie.MaxAge > 0
		a.clears = a.clears || cookie.MaxAge < 0
	}
	if found := pageToken.FindStringSubmatch(a.page); found != nil {
		c.token = found[1]
	}
	return a, nil
}

// start walks to the page with the code.
func (c *client) start() error {
	a, err := c.send("GET", "/payroll", nil)
	if err != nil {
		return err
	}
	if a.status != http.StatusSeeOther {
		return fmt.Errorf("the gate answers %d", a.status)
	}
	if _, err := c.send("GET", a.to, nil); err != nil {
		return err
	}
	return nil
}

func (c *client) request() error {
	a, err := c.send("POST", "/.verified-id/request", url.Values{"token": {c.token}, "credential": {"employee"}})
	if err != nil {
		return err
	}
	at, err := url.Parse(a.to)
	if err != nil || at.Query().Get("t") == "" {
		return fmt.Errorf("starting answers %d and leads to %q", a.status, a.to)
	}
	c.transaction = at.Query().Get("t")
	return nil
}

// link is what the wallet is to open.
func (c *client) link() (string, error) {
	a, err := c.send("GET", "/.verified-id/wait?t="+url.QueryEscape(c.transaction), nil)
	if err != nil {
		return "", err
	}
	found := walletLink.FindStringSubmatch(a.page)
	if found == nil {
		return "", fmt.Errorf("no link on the page, status %d", a.status)
	}
	return html.UnescapeString(found[1]), nil
}

func (c *client) finish() (answer, error) {
	if _, err := c.send("GET", "/.verified-id/wait?t="+url.QueryEscape(c.transaction), nil); err != nil {
		return answer{}, err
	}
	return c.take()
}

func (c *client) take() (answer, error) {
	return c.send("POST", "/.verified-id/finish", url.Values{"token": {c.token}, "t": {c.transaction}})
}

func (c *client) logOut() (answer, error) {
	return c.send("POST", "/.verified-id/logout", url.Values{})
}

// isIn says whether the app answers.
func (c *client) isIn() bool {
	c.w.t.Helper()
	a, err := c.send("GET", "/payroll", nil)
	if err != nil {
		c.w.t.Fatalf("asking for the app: %v", err)
	}
	return a.status == http.StatusOK && strings.Contains(a.page, `id="app"`)
}

// copied is another browser with the same cookies, as a thief has.
func (c *client) copied(address string) *client {
	c.w.t.Helper()
	other := c.w.newClient(address)
	at, err := url.Parse(c.w.origin)
	if err != nil {
		c.w.t.Fatal(err)
	}
	other.http.Jar.SetCookies(at, c.http.Jar.Cookies(at))
	return other
}

// enter verifies, from the start to the session.
func (c *client) enter() error {
	if err := c.start(); err != nil {
		return err
	}
	if err := c.request(); err != nil {
		return err
	}
	link, err := c.link()
	if err != nil {
		return err
	}
	c.w.accept(c.w.openLink(link))
	a, err := c.finish()
	if err == nil && !a.setsASession {
		err = fmt.Errorf("finishing answers %d without a session", a.status)
	}
	return err
}
