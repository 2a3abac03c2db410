// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
)

// many lets one machine start often.
const many = "limits {\n\t\t\tstarts_per_client 1000\n\t\t\tstarts_per_second 1000\n\t\t}"

// killed is a person whose visit was cut short, and what must be true of the cookies that their browser, or a thief, has.
type killed struct {
	moment string
	*client
	in, out bool // neither: the logout was under way, and either is right
}

// The machine loses its power, or the kernel kills the server for its memory, at any moment of a visit. Nobody is verified by
// it, who was in is in, who was logged out is out, a half-way visit comes to nothing, and the keys are what they were. TM-140.
func TestKillAtAnyMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{app: many})
	keysFile := filepath.Join(w.home, "data", "caddy", "verified_id", "keys.json")
	keys, err := os.ReadFile(keysFile)
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // moments, not secrets
	moments := []string{
		"start", "requested", "retrieved", "verified", "finishing", "finished", "logging out", "logged out", "booting",
	}
	moments = append(moments, moments...)
	random.Shuffle(len(moments), func(i, j int) { moments[i], moments[j] = moments[j], moments[i] })
	var people []killed
	for _, moment := range moments {
		person := w.killAt(moment, random)
		w.caddy = caddyprocess.Start(t, w.home, w.caddyfile)
		people = append(people, person)
		for _, one := range people {
			if in := one.isIn(); in && !one.in && (one.out || one.moment != "logging out") || !in && one.in {
				t.Errorf("killed when %s: in is %v after the kill when %s", one.moment, in, moment)
			}
		}
		if person.transaction != "" && !person.in { // the answer is asked for again: it is gone, and makes nobody
			if a, err := person.take(); err != nil || a.setsASession {
				t.Errorf("killed when %s: the result can be had afterwards: %d, %v", moment, a.status, err)
			}
		}
		if now, err := os.ReadFile(keysFile); err != nil || !bytes.Equal(now, keys) {
			t.Fatalf("killed when %s: the keys are other ones (%v)", moment, err)
		}
		if w.caddy.Log.Contains("do not open") {
			t.Errorf("killed when %s: a stored revocation is damaged", moment)
		}
	}
}

// killAt lets somebody visit and kills the server at the moment.
func (w *world) killAt(moment string, random *rand.Rand) killed {
	w.t.Helper()
	person := killed{moment: moment, client: w.newClient("127.0.0.1")}
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatalf("killing when %s: %v", moment, err)
		}
	}
	// during kills the server once the step's request has left, with the answer under way.
	during := func(step func() (answer, error)) answer {
		person.sent = w.caddy.Kill
		a, err := step()
		person.sent = nil
		w.caddy.Kill()
		if err != nil {
			return answer{}
		}
		return a
	}
	if moment == "booting" {
		w.caddy.Kill()
		for range 3 {
			said := []string{"using config", "admin endpoint started", "enabling", "autosaved", "serving"}[random.IntN(5)]
			w.caddy = caddyprocess.Launch(w.t, w.home, w.caddyfile)
			w.caddy.Wait(w.t, said)
			w.caddy.Kill()
		}
		return person
	}
	must(person.start())
	if moment == "start" {
		during(func() (answer, error) { return answer{}, person.request() })
		return person
	}
	must(person.request())
	link, err := person.link()
	must(err)
	if moment == "requested" {
		w.caddy.Kill()
		return person
	}
	offer := w.openLink(link)
	if moment == "retrieved" { // killed while the result is on its way to it
		go func() {
			w.caddy.Kill()
		}()
		_, _ = offer.Share(w.t.Context(), honest)
		w.caddy.Kill()
		return person
	}
	w.accept(offer)
	if moment == "verified" {
		w.caddy.Kill()
		return person
	}
	if moment == "finishing" {
		_, err := person.send("GET", "/.verified-id/wait?t="+person.transaction, nil)
		must(err)
		person.in = during(person.take).setsASession // a session that was given counts
		return person
	}
	a, err := person.finish()
	must(err)
	if !a.setsASession || !person.isIn() {
		w.t.Fatalf("killing when %s: finishing answers %d and leads nowhere", moment, a.status)
	}
	person.in = true
	if moment == "finished" {
		w.caddy.Kill()
		return person
	}
	thief := person.copied("127.0.0.1")
	thief.transaction, thief.token = person.transaction, person.token
	if moment == "logging out" {
		a = during(person.logOut)
		person.client = thief
	} else {
		a, err = person.logOut()
		must(err)
		if a.status != http.StatusOK {
			w.t.Fatalf("logging out answers %d", a.status)
		}
		w.caddy.Kill()
	}
	person.client, person.in = thief, false
	person.out = a.status == http.StatusOK && strings.Contains(a.page, "signed out")
	return person
}
