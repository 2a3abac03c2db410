// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// visitor is one browser: cookies, an address of its own and a connection of its own.
type visitor struct {
	w       *world
	wire    *wire
	address string
	cookies map[string]string
	// token is that of the last page, transaction what is waited for.
	token, transaction string
}

// newVisitor returns a browser at an address of its own.
func (w *world) newVisitor(i int) *visitor {
	return &visitor{w: w, wire: w.wire(), address: addressOf(i), cookies: map[string]string{}}
}

// addressOf is one of many client addresses.
func addressOf(i int) string { return fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255) }

var (
	pageToken  = regexp.MustCompile(`name="token" value="([^"]+)"`)
	walletLink = regexp.MustCompile(`href="(openid-vc://[^"]+)"`)
)

// bytes is a request as this browser sends it.
func (v *visitor) bytes(method, path, body, accept string) []byte {
	headers := []string{
		"Accept: " + accept, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: same-origin",
		"X-Forwarded-For: " + v.address,
	}
	if len(v.cookies) > 0 {
		headers = append(headers, "Cookie: "+v.cookie())
	}
	if method == http.MethodPost {
		headers = append(headers, "Content-Type: application/x-www-form-urlencoded")
	}
	return request(method, v.w.host, path, body, headers...)
}

func (v *visitor) cookie() string {
	parts := make([]string, 0, len(v.cookies))
	for _, name := range slices.Sorted(maps.Keys(v.cookies)) {
		parts = append(parts, name+"="+v.cookies[name])
	}
	return strings.Join(parts, "; ")
}

func (v *visitor) send(ctx context.Context, method, path string, form url.Values) (reply, error) {
	answer, err := v.wire.do(ctx, v.bytes(method, path, form.Encode(), "text/html"))
	if err != nil {
		return answer, err
	}
	for _, cookie := range (&http.Response{Header: answer.header}).Cookies() {
		if cookie.MaxAge < 0 {
			delete(v.cookies, cookie.Name)
			continue
		}
		v.cookies[cookie.Name] = cookie.Value
	}
	if found := pageToken.FindSubmatch(answer.body); found != nil {
		v.token = string(found[1])
	}
	return answer, nil
}

// begin walks from a page of the app to the start page. The outcome is good, or says where it ended.
func (v *visitor) begin(ctx context.Context) string {
	answer, err := v.send(ctx, http.MethodGet, "/payroll", nil)
	switch {
	case err != nil:
		return "challenge: " + failure(err)
	case answer.status != http.StatusSeeOther:
		return fmt.Sprintf("challenge: %d", answer.status)
	}
	switch answer, err = v.send(ctx, http.MethodGet, answer.header.Get("Location"), nil); {
	case err != nil:
		return "start: " + failure(err)
	case answer.status != http.StatusOK || v.token == "":
		return fmt.Sprintf("start: %d", answer.status)
	}
	return good
}

// request asks for a code.
func (v *visitor) request(ctx context.Context) string {
	answer, err := v.send(ctx, http.MethodPost, "/.verified-id/request", url.Values{"token": {v.token}, "credential": {"employee"}})
	if err != nil {
		return "request: " + failure(err)
	}
	at, err := url.Parse(answer.header.Get("Location"))
	if err != nil || answer.status != http.StatusSeeOther || at.Query().Get("t") == "" {
		return fmt.Sprintf("request: %d", answer.status)
	}
	v.transaction = at.Query().Get("t")
	return good
}

// link reads the wallet's link off the page with the code.
func (v *visitor) link(ctx context.Context) (link, outcome string) {
	answer, err := v.send(ctx, http.MethodGet, "/.verified-id/wait?t="+url.QueryEscape(v.transaction), nil)
	if err != nil {
		return "", "wait: " + failure(err)
	}
	found := walletLink.FindSubmatch(answer.body)
	if found == nil {
		return "", fmt.Sprintf("wait: %d", answer.status)
	}
	return html.UnescapeString(string(found[1])), good
}

// finish takes the result.
func (v *visitor) finish(ctx context.Context) string {
	answer, err := v.send(ctx, http.MethodPost, "/.verified-id/finish", url.Values{"token": {v.token}, "t": {v.transaction}})
	switch {
	case err != nil:
		return "finish: " + failure(err)
	case answer.status != http.StatusOK:
		return fmt.Sprintf("finish: %d", answer.status)
	}
	return good
}

// arrive asks for the app and compares whom it takes the visitor for.
func (v *visitor) arrive(ctx context.Context, who *person) string {
	answer, err := v.send(ctx, http.MethodGet, "/payroll", nil)
	if err != nil {
		return "app: " + failure(err)
	}
	return judge(answer, who)
}

// judge compares an answer of the app with who asked. Anything but "app: …" is a wrong decision.
func judge(answer reply, who *person) string {
	name, mail, ok := shownTo(answer.body)
	switch {
	case answer.status != http.StatusOK:
		return fmt.Sprintf("app: %d", answer.status)
	case !ok:
		return "app: another page"
	case name == who.name && mail == who.mail:
		return good
	case name == "" && mail == "":
		return wrongNobody
	}
	return wrongOther
}

// Decisions that must never be made.
const (
	wrongNobody = "WRONG: let in as nobody"
	wrongOther  = "WRONG: let in as somebody else"
)

// wrong counts the wrong decisions.
func (t *tally) wrong() int { return t.of(wrongNobody) + t.of(wrongOther) }

// flow is a whole visit, as a browser with a phone beside it makes it.
func (v *visitor) flow(ctx context.Context, who *person) string {
	defer v.wire.close()
	for _, step := range []func(context.Context) string{v.begin, v.request} {
		if outcome := step(ctx); outcome != good {
			return outcome
		}
	}
	link, outcome := v.link(ctx)
	if outcome != good {
		return outcome
	}
	events, err := v.listen(ctx)
	if err != nil {
		return "events: " + failure(err)
	}
	defer events.close()
	if err := who.present(ctx, link); err != nil {
		return "wallet: " + failure(err)
	}
	if outcome := events.await("verified"); outcome != good {
		return outcome
	}
	if outcome := v.finish(ctx); outcome != good {
		return outcome
	}
	return v.arrive(ctx, who)
}
