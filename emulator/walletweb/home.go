// SPDX-License-Identifier: Apache-2.0

package walletweb

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
	"github.com/caddy-verified-id/caddy-verified-id/emulator/internal/frame"
)

const (
	// lookEvery is how often a waiting page's stream looks for new requests.
	lookEvery = 500 * time.Millisecond

	// streamFor is how long one stream lasts before the page reloads and begins another.
	streamFor = 5 * time.Minute
)

// pendingView is a waiting request as the home page shows it.
type pendingView struct {
	Name, Purpose string
	Issuance      bool
	Opened        bool
	OpenPath      string
	Left          string // how much longer
}

// home shows what waits and what is in the wallet.
func (w *Wallet) home(rw http.ResponseWriter, _ *http.Request) {
	pending := w.e.Pending()
	var waiting []pendingView
	for _, p := range pending {
		waiting = append(waiting, pendingView{
			Name: p.Name, Purpose: p.Purpose, Issuance: p.Kind == emulator.Issuance, Opened: p.Opened,
			OpenPath: home + "/open?link=" + url.QueryEscape(p.Link),
			Left:     left(p.Expires.Sub(w.e.Now())),
		})
	}
	head := frame.Head{Title: "Cards", Events: home + "/waiting?newest=" + url.QueryEscape(newest(pending))}
	w.pages.Write(rw, http.StatusOK, "home", head, struct {
		Holder  string
		Waiting []pendingView
		Cards   []cardView
		Stocks  []stock
	}{w.wallet.Name(), waiting, w.views(w.wallet.Cards()), w.stocks()})
}

// newest names the newest waiting request, or nothing.
func newest(pending []emulator.PendingRequest) string {
	if len(pending) == 0 {
		return ""
	}
	return pending[0].ID
}

// waiting is the home page's event stream: it ends when another request than the page knows
// is the newest.
func (w *Wallet) waiting(rw http.ResponseWriter, r *http.Request) {
	known := r.URL.Query().Get("newest")
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		look := time.NewTicker(lookEvery)
		defer look.Stop()
		for newest(w.e.Pending()) == known {
			select {
			case <-look.C:
			case <-r.Context().Done():
				return
			}
		}
	}()
	frame.Stream(rw, r, changed, streamFor)
}

// left says how much longer something lasts, in words and roughly: the page does not count down.
func left(d time.Duration) string {
	switch minutes := int(d.Round(time.Minute) / time.Minute); {
	case d < time.Minute:
		return "less than a minute left"
	case minutes <= 1:
		return "about a minute left"
	default:
		return fmt.Sprintf("about %d minutes left", minutes)
	}
}
