// SPDX-License-Identifier: Apache-2.0

package walletweb

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

const (
	offerLifetime = time.Hour
	maxOffers     = 200
)

// opened is a request that the wallet has open, and what came of it.
type opened struct {
	id     string
	link   string
	at     time.Time
	offer  *emulator.Offer
	result *result // nil while the person has not decided
	hint   string  // what to mend before trying again, for example a wrong PIN
}

// result is how a request ended, in words for the page.
type result struct {
	Good   bool
	Title  string
	Text   string
	Rows   []claimRow // what was seen on the wire
	Again  bool       // opening the link again makes sense
	CardID string     // the card added
}

// offers keeps what is open. A wallet page may be opened many times while somebody plays, so
// it is bounded and forgets.
type offers struct {
	mu   sync.Mutex
	byID map[string]*opened
}

func newOffers() *offers { return &offers{byID: map[string]*opened{}} }

// add keeps a freshly opened request and names it.
func (o *offers) add(link string, offer *emulator.Offer, now time.Time) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var oldest *opened
	for id, other := range o.byID {
		if now.Sub(other.at) >= offerLifetime {
			delete(o.byID, id)
		} else if oldest == nil || other.at.Before(oldest.at) {
			oldest = other
		}
	}
	if len(o.byID) >= maxOffers {
		delete(o.byID, oldest.id)
	}
	id := rand.Text()
	o.byID[id] = &opened{id: id, link: link, at: now, offer: offer}
	return id
}

func (o *offers) get(id string) (opened, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	entry, ok := o.byID[id]
	if !ok {
		return opened{}, false
	}
	return *entry, true
}

// finish records how it ended; only the first end counts.
func (o *offers) finish(id string, end result) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if entry, ok := o.byID[id]; ok && entry.result == nil {
		entry.result, entry.hint = &end, ""
	}
}

func (o *offers) hint(id, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if entry, ok := o.byID[id]; ok {
		entry.hint = text
	}
}
