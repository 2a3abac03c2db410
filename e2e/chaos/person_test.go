// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// person is a visitor with a browser that shows nothing, an address and a phone of their own. They keep cookies and follow what
// the pages say.
type person struct {
	w       *world
	name    string
	address string
	random  *rand.Rand
	browser *http.Client
	wallet  *emulator.Wallet
	score   float64 // of their face
	home    int     // the node that a visit stays with, where nodes share no store

	asked int
	// taken is the request of the last result that they took.
	taken string
	// wanted is the place that they are on their way to, without its query.
	wanted string
	// holds is the session that they believe in; token is the one of the last page.
	holds, token string
}

// people are those who hold a session, and copies of the cookies of those who have ended theirs.
type people struct {
	mu     sync.Mutex
	living map[string]*person // by session
	ended  []copied
}

// copied is a browser with the cookies that a person had.
type copied struct {
	p       *person
	browser *http.Client
}

func (l *people) end(c copied) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, c)
}

// pick returns one of the sessions, by the choice, or nothing.
func (l *people) pick(choice uint64) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Sorted(maps.Keys(l.living))
	if len(all) == 0 {
		return ""
	}
	return all[choice%uint64(len(all))]
}

func (l *people) set(session string, p *person) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.living[session] = p
}

func (l *people) unset(session string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.living, session)
}

// newcomers is of how many people one has no card yet.
const newcomers = 3

// newPerson makes somebody who has a card with their name on it, or is to get one from the partner.
func (w *world) newPerson(name string, random *rand.Rand) (*person, error) {
	wallet, err := w.emulator.NewWallet(emulator.WalletConfig{Name: name})
	if err != nil {
		return nil, err
	}
	if random.IntN(newcomers) > 0 {
		claims := emulator.AnaLima("VerifiedEmployee")
		claims["displayName"], claims["revocationId"] = name, name
		if _, err := w.emulator.IssueTo(wallet, "VerifiedEmployee", claims); err != nil {
			return nil, err
		}
	}
	return &person{
		w: w, name: name, random: random, browser: w.newBrowser(), wallet: wallet, score: 82 + 16*random.Float64(), home: random.IntN(len(w.nodes)),
		address: fmt.Sprintf("10.%d.%d.%d", random.IntN(256), random.IntN(256), 1+random.IntN(254)),
	}, nil
}

func (w *world) newBrowser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Errorf("making a cookie jar: %v", err) // never: it has no options
	}
	return &http.Client{
		Jar: jar, Transport: w.transport(), Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// copied is a browser with the same cookies, as a thief has.
func (p *person) copied() *http.Client {
	other := p.w.newBrowser()
	at, err := url.Parse(p.w.origin)
	if err != nil {
		return other // never: it is ours
	}
	other.Jar.SetCookies(at, p.browser.Jar.Cookies(at))
	return other
}

// request is one thing that a browser asks for.
type request struct {
	step        Step
	path        string
	form        url.Values   // not nil: sent by POST
	script      bool         // by a script of the page, not by the person
	transaction string       // what it is about
	browser     *http.Client // nil: the person's own
	node        *node        // nil: one by chance
	// read reads the answer as it comes, until the time is over; nil: all of it at once.
	read  func(io.Reader)
	until time.Time
}

// answer is what a request came to.
type answer struct {
	Note
	to, body string
	after    time.Duration // Retry-After
}

var (
	pageToken  = regexp.MustCompile(`name="token" value="([^"]+)"`)
	pageTitle  = regexp.MustCompile(`<title>([^<]*)</title>`)
	walletLink = regexp.MustCompile(`href="(openid-vc://[^"]+)"`)
	onwardLink = regexp.MustCompile(`<meta http-equiv="refresh" content="0;url=([^"]+)">`)
	shownPlace = regexp.MustCompile(`<p class="destination">.*?<code>[^/<]*([^<]*)</code>`)
)

// stageOf are the steps at which a kill may be wanted.
var stageOf = map[Step]Stage{StepRequest: AtRequest, StepFinish: AtFinish, StepLogout: AtLogout}

// send sends a request to a node by chance, once more on a fresh connection if that breaks and the request may be repeated, and
// writes down what came of it.
func (p *person) send(ctx context.Context, r request) answer {
	ctx = context.WithoutCancel(ctx) // whoever has asked waits for the answer, also when the run is over
	if !r.until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, r.until)
		defer cancel()
	}
	p.asked++
	a := answer{Note: Note{
		Ask: fmt.Sprintf("%s #%d", p.name, p.asked), Visitor: p.name, Step: r.step, Span: Span{Began: time.Now()},
		Holds: p.holds, Transaction: r.transaction, Wanted: p.wanted,
	}}
	if r.browser != nil {
		a.Holds = ""
	}
	err := p.try(ctx, r, &a)
	if err != nil && r.form == nil {
		err = p.try(ctx, r, &a)
	}
	if r.read == nil || err != nil {
		a.Ended = time.Now()
	}
	if err != nil {
		a.Status, a.Err, a.Gives, a.Clears, a.body = 0, err.Error(), false, false, ""
	}
	p.w.recorder.keep(func(h *History) { h.Notes = append(h.Notes, a.Note) })
	return a
}

func (p *person) try(ctx context.Context, r request, a *answer) error {
	way := &route{order: p.w.anyOrder(p.random.IntN)}
	switch {
	case r.node != nil:
		way.order = []int{r.node.index}
	case !p.w.shared:
		way.order = []int{p.home}
	case r.step == StepRequest:
		p.w.triggers.draw(AtCreated, way.order)
		p.w.triggers.draw(AtRequest, way.order)
	default:
		p.w.triggers.draw(stageOf[r.step], way.order)
	}
	ctx = httptrace.WithClientTrace(context.WithValue(ctx, routeKey{}, way), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { p.w.triggers.fire(stageOf[r.step], way.came()) },
	})
	q, err := p.newRequest(ctx, r, a.Ask)
	if err != nil {
		return err
	}
	browser := r.browser
	if browser == nil {
		browser = p.browser
	}
	response, err := browser.Do(q)
	a.Node = way.came()
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if r.read != nil {
		a.Ended = time.Now()
		a.read(response, "")
		if a.Status == http.StatusOK {
			r.read(response.Body)
		}
		return nil
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	a.read(response, string(body))
	if found := pageToken.FindStringSubmatch(a.body); found != nil && r.browser == nil {
		p.token = found[1]
	}
	return nil
}

func (p *person) newRequest(ctx context.Context, r request, ask string) (*http.Request, error) {
	method := http.MethodGet
	if r.form != nil {
		method = http.MethodPost
	}
	q, err := http.NewRequestWithContext(ctx, method, p.w.origin+r.path, strings.NewReader(r.form.Encode()))
	if err != nil {
		return nil, err
	}
	q.Header.Set(askHeader, ask)
	q.Header.Set("X-Forwarded-For", p.address)
	q.Header.Set("Sec-Fetch-Site", "same-origin")
	if r.script {
		q.Header.Set("Sec-Fetch-Mode", "cors")
		q.Header.Set("Sec-Fetch-Dest", "empty")
		return q, nil
	}
	q.Header.Set("Sec-Fetch-Mode", "navigate")
	q.Header.Set("Sec-Fetch-Dest", "document")
	q.Header.Set("Accept", "text/html")
	if r.form != nil {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return q, nil
}

// read takes from a response what a visitor sees of it.
func (a *answer) read(response *http.Response, body string) {
	a.Status, a.body, a.to = response.StatusCode, body, response.Header.Get("Location")
	a.Policy = response.Header.Get(policyHeader)
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		a.after = time.Duration(seconds) * time.Second
	}
	if title := pageTitle.FindStringSubmatch(body); title != nil {
		a.Page = title[1]
	} else if a.to != "" {
		a.Page, _, _ = strings.Cut(a.to, "?")
	}
	for _, cookie := range response.Cookies() {
		if strings.HasSuffix(cookie.Name, "-binding") || strings.HasSuffix(cookie.Name, "-journey") {
			continue
		}
		a.Gives = a.Gives || cookie.MaxAge >= 0 && cookie.Value != ""
		a.Clears = a.Clears || cookie.MaxAge < 0
	}
	if place := shownPlace.FindStringSubmatch(body); place != nil {
		a.Shows = html.UnescapeString(place[1])
	}
	if onward := onwardLink.FindStringSubmatch(body); onward != nil {
		a.to = html.UnescapeString(onward[1])
	}
	var told struct{ Session string }
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") && json.Unmarshal([]byte(body), &told) == nil {
		a.Session = told.Session
	}
}

// pause waits, as people do, and says whether the run goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// between is a time by chance.
func (p *person) between(least, most time.Duration) time.Duration {
	return least + time.Duration(p.random.Int64N(int64(most-least)))
}
