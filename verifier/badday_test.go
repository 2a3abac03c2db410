// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// wait lets time pass in a bubble.
func wait(d time.Duration) { <-time.After(d) }

// visitors come all at once and note when each was served; 0 if not.
func visitors(t *testing.T, n *virtualNet, number int) []time.Duration {
	served := make([]time.Duration, number)
	begin := time.Now()
	var group sync.WaitGroup
	for i := range served {
		group.Go(func() {
			err := n.create(t.Context())
			if took := time.Since(begin); err == nil {
				served[i] = took
			} else if !errors.Is(err, verifier.ErrBusy) {
				t.Errorf("visitor %d: %v", i, err)
			}
		})
	}
	group.Wait()
	return served
}

// X6: the service throttles. It is called once, and nobody calls again before the time that it has named. Then one goes first,
// and those who came meanwhile follow, not all in one moment. TM-126.
func TestThrottledServiceIsCalledOncePerPause(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		retryAfter string
		pause      time.Duration
	}{
		"a second":       {"1", time.Second},
		"half a minute":  {"30", 30 * time.Second},
		"a date":         {"Sat, 01 Jan 2000 00:00:20 GMT", 20 * time.Second},
		"nonsense":       {"soon", time.Second},
		"too much sense": {"99999999999999999999", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			var calls, running, most atomic.Int64
			throttled := true
			ok := createdNow(t)
			inVirtualNet(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				if throttled {
					answer(http.StatusTooManyRequests, "", "Retry-After", test.retryAfter)(w, r)
					return
				}
				if now := running.Add(1); calls.Load() == 2 {
					most.Store(now)
				}
				wait(500 * time.Millisecond)
				if running.Add(-1) == 0 && calls.Load() == 2 {
					most.Store(1)
				}
				ok(w, r)
			}, func(t *testing.T, n *virtualNet) {
				begin := time.Now()
				first := make(chan error, 1)
				go func() { first <- n.create(t.Context()) }()
				synctest.Wait()
				throttled = false
				for time.Since(begin) < test.pause-200*time.Millisecond {
					if err := n.create(t.Context()); !errors.Is(err, verifier.ErrBusy) || verifier.RetryAfter(err) <= 0 {
						t.Fatalf("in the pause: %v", err)
					}
					wait(100 * time.Millisecond)
				}
				if got := calls.Load(); got != 1 {
					t.Fatalf("%d calls in the pause, want the one that began it", got)
				}
				wait(test.pause - time.Since(begin))
				served := visitors(t, n, 20)
				if err := <-first; (err == nil) != (test.pause <= 2*time.Second) {
					t.Errorf("who was told to wait: %v", err)
				}
				slices.Sort(served)
				if served[0] == 0 || served[len(served)-1] > 3*time.Second {
					t.Errorf("visitors were served after %v", served)
				}
				if most.Load() != 1 {
					t.Error("more than one tried whether the pause is over")
				}
				if spread := served[len(served)-1] - served[1]; spread < 50*time.Millisecond {
					t.Errorf("all who waited went on within %v", spread)
				}
			})
		})
	}
}

// X7: one, five or all of ten calls fail, for ten minutes. Each visitor is answered in time, after two retries at most; a service
// that is down is left alone but for one try every five seconds, and serves again ten seconds after its return at the latest.
func TestBurstsOfServerErrors(t *testing.T) {
	t.Parallel()
	for name, share := range map[string]float64{"a tenth": 0.1, "half": 0.5, "all": 1} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(7, uint64(10*share))) //nolint:gosec // repeats exactly
			var mu sync.Mutex
			var calls []time.Time
			ok := createdNow(t)
			inVirtualNet(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				calls = append(calls, time.Now())
				fails, status := random.Float64() < share, []int{500, 502, 503, 504}[random.IntN(4)]
				mu.Unlock()
				wait(100 * time.Millisecond)
				if fails {
					answer(status, "")(w, r)
					return
				}
				ok(w, r)
			}, func(t *testing.T, n *virtualNet) {
				served, asked := 0, 0
				every := 5 * time.Second
				if share == 1 { // which costs no calls
					every = time.Second / 2
				}
				for begin := time.Now(); time.Since(begin) < 10*time.Minute; wait(every) {
					came, before := time.Now(), len(calls)
					err := n.create(t.Context())
					if took := time.Since(came); took > 10*time.Second || len(calls)-before > 3 {
						t.Fatalf("answered after %v and %d calls", took, len(calls)-before)
					}
					if asked++; err == nil {
						served++
					}
				}
				t.Logf("%d of %d visitors served with %d calls", served, asked, len(calls))
				switch least := float64(asked) * (1 - share*share*share) * 0.95; {
				case float64(served) < least:
					t.Errorf("%d of %d visitors were served, want %.0f", served, asked, least)
				case share == 1 && len(calls) > 20+600/5+1:
					t.Errorf("a service that is down was called %d times in ten minutes", len(calls))
				}
				mu.Lock()
				share = 0
				mu.Unlock()
				back := time.Now()
				for n.create(t.Context()) != nil {
					wait(100 * time.Millisecond)
				}
				if took := time.Since(back); took > 10*time.Second {
					t.Errorf("served again after %v", took)
				}
			})
		})
	}
}

// The breaker's pause is over, and everybody who has waited goes at once: that is a load which a service that comes back does
// not need. One goes first. If it fails, the others are answered as before; if it comes through, they follow.
func TestServiceThatIsDownIsProbedByOne(t *testing.T) {
	var calls atomic.Int64
	down := true
	ok := createdNow(t)
	inVirtualNet(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		wait(100 * time.Millisecond)
		if down {
			answer(500, "")(w, r)
			return
		}
		ok(w, r)
	}, func(t *testing.T, n *virtualNet) {
		for calls.Load() < 20 {
			_ = n.create(t.Context())
		}
		wait(5 * time.Second)
		before := calls.Load()
		served := visitors(t, n, 50)
		if got := calls.Load() - before; got != 1 || slices.Max(served) != 0 {
			t.Errorf("%d calls of 50 visitors, want 1", got)
		}
		wait(5 * time.Second)
		down = false
		if served := visitors(t, n, 50); slices.Min(served) == 0 || slices.Max(served) > 2*time.Second {
			t.Errorf("served after %v", served)
		}
	})
}

// Who tries whether the service is back may close the browser. The next one tries.
func TestProbeWhoseVisitorLeaves(t *testing.T) {
	var calls atomic.Int64
	mode := 500
	ok := createdNow(t)
	inVirtualNet(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		switch mode {
		case 500:
			answer(500, "")(w, r)
		case 0:
			<-r.Context().Done()
		default:
			ok(w, r)
		}
	}, func(t *testing.T, n *virtualNet) {
		for calls.Load() < 20 {
			_ = n.create(t.Context())
		}
		wait(5 * time.Second)
		mode = 0
		leaver, leave := context.WithCancel(t.Context())
		go func() { _ = n.create(leaver) }()
		synctest.Wait()
		leave()
		mode = 201
		synctest.Wait()
		if err := n.create(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// X16: the service has moved, and the name leads to its new address. The old one is silent, or still answers, or the name leads
// nowhere for a while. The new address is used within half a minute, by whoever asks all the time too.
func TestServiceHasMoved(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		leave func(n *virtualNet)
		fails bool
	}{
		"the old one still answers": {leave: func(*virtualNet) {}},
		"the old one is silent":     {leave: (*virtualNet).forget},
		"the name leads nowhere": {leave: func(n *virtualNet) {
			n.forget()
			n.fail(&net.DNSError{Err: "no such host", Name: "example.com", IsNotFound: true})
		}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			ok := createdNow(t)
			inVirtualNet(t, ok, func(t *testing.T, n *virtualNet) {
				if err := n.create(t.Context()); err != nil {
					t.Fatal(err)
				}
				moved := make(chan struct{})
				var once sync.Once
				there := n.host(func(w http.ResponseWriter, r *http.Request) { once.Do(func() { close(moved) }); ok(w, r) })
				test.leave(n)
				if test.fails {
					for begin := time.Now(); time.Since(begin) < time.Minute; wait(time.Second) {
						came := time.Now()
						if err := n.create(t.Context()); err == nil || time.Since(came) > 10*time.Second {
							t.Fatalf("%v after %v", err, time.Since(came))
						}
					}
				}
				n.lead(there)
				for begin := time.Now(); ; wait(time.Second) {
					came := time.Now()
					if err := n.create(t.Context()); err != nil && !test.fails {
						t.Errorf("a visitor in between: %v", err)
					}
					if took := time.Since(came); took > 10*time.Second {
						t.Errorf("answered after %v", took)
					}
					select {
					case <-moved:
						return
					default:
					}
					if time.Since(begin) > 30*time.Second {
						t.Fatal("the new address is not used after 30 seconds")
					}
				}
			})
		})
	}
}
