// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// walletPatience is how long somebody looks at a code that leads nowhere after their phone said that all is well, and
	// brokenPatience after it said that something failed.
	walletPatience = 15 * time.Second
	brokenPatience = 2 * time.Second
	// usualReturn is after how long a browser opens a stream again that has told nothing else.
	usualReturn = 3 * time.Second
	// givingUp is how often a stream breaks before the page asks instead.
	givingUp = 4
)

// watch looks at what became of the transaction, as the page with the code does, until there is a result to take.
func (p *person) watch(ctx context.Context, v *Visit) bool {
	patience := brokenPatience
	if v.Told {
		patience = walletPatience
	}
	until := time.Now().Add(patience)
	if p.random.IntN(4) > 0 { // the others stand behind a proxy that lets no stream through
		if over, ok := p.follow(ctx, v, until); over {
			return ok
		}
	}
	for failures := 0; time.Now().Before(until); {
		a := p.send(ctx, request{step: StepStatus, path: statusPath(v), script: true, transaction: v.Transaction})
		var told struct {
			State string
			Retry int
		}
		wait := time.Second
		if a.Status == http.StatusOK && json.Unmarshal([]byte(a.body), &told) == nil {
			failures = 0
			wait = max(wait, time.Duration(told.Retry)*time.Second)
			if over, ok := p.hear(ctx, v, told.State); over {
				return ok
			}
		} else {
			failures++
			wait = time.Duration(min(10, 2*failures)) * time.Second
		}
		if a.Status == http.StatusNotFound {
			v.end(a)
			return false
		}
		if !pause(ctx, min(wait, time.Until(until))) {
			return false
		}
	}
	v.Outcome = Waited
	return false
}

func statusPath(v *Visit) string { return "/.verified-id/status?t=" + url.QueryEscape(v.Transaction) }

// hear takes the state for what it is. It says whether the watch is over, and whether there is a result.
func (p *person) hear(ctx context.Context, v *Visit, state string) (over, ok bool) {
	switch state {
	case "verified", "consumed":
		return true, true
	case "refused":
		v.Outcome, v.Why = Refused, p.why(ctx, v)
		return true, false
	case "failed", "expired":
		v.Outcome, v.Why = StartAgain, state
		return true, false
	}
	return false, false
}

// follow reads the page's stream, and opens it again after the time that it names, as browsers do. It is not over where the page
// falls back to asking.
func (p *person) follow(ctx context.Context, v *Visit, until time.Time) (over, ok bool) {
	again := usualReturn
	for broken := 0; broken < givingUp && time.Now().Before(until); broken++ {
		a := p.send(ctx, request{
			step: StepStream, path: "/.verified-id/events?t=" + url.QueryEscape(v.Transaction), script: true, transaction: v.Transaction,
			read: func(body io.Reader) {
				lines := bufio.NewScanner(body)
				for !over && lines.Scan() {
					field, value, _ := strings.Cut(lines.Text(), ": ")
					switch milliseconds, err := strconv.Atoi(value); {
					case field == "retry" && err == nil:
						again = time.Duration(milliseconds) * time.Millisecond
					case field == "data":
						broken = 0
						over, ok = p.hear(ctx, v, value)
					}
				}
			},
			until: until.Add(2 * time.Second),
		})
		switch {
		case over:
			return over, ok
		case a.Status == http.StatusNotFound:
			v.end(a)
			return true, false
		case a.Status != 0 && a.Status != http.StatusOK: // a browser does not come back after such an answer
			return false, false
		}
		if !pause(ctx, min(again, max(0, time.Until(until)))) {
			return true, false
		}
	}
	return false, false
}
