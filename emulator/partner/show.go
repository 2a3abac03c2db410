// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/skip2/go-qrcode"

	"github.com/caddy-verified-id/caddy-verified-id/emulator/internal/frame"
)

// refreshSeconds is how often a waiting page reloads itself without JavaScript.
const refreshSeconds = 3

// codePixels is the width of the QR code's picture.
const codePixels = 480

// step is one entry of the way shown above the pages.
type step struct {
	Name          string
	Done, Current bool
}

// claim is one line of what will stand in the card.
type claim struct{ Name, Value string }

// view is what the pages of a visit see.
type view struct {
	Path         string // of the visit
	Partner      string
	Organisation string
	Steps        []step
	Person       Person
	Credential   *Credential
	Credentials  []Credential
	Claims       []claim // of the card, without the picture
	Problem      string
	DeepLink     template.URL
	DeepLinkText string
	WalletLink   string
	PIN          string
	Retrieved    bool
	Expired      bool
	ExpiresIn    time.Duration
	ReturnURL    string
}

// show is the visit's page, whatever its stage.
func (p *Partner) show(w http.ResponseWriter, r *http.Request, v visit) {
	now := p.cfg.Now()
	data := view{
		Path:         visitPath + v.id,
		Partner:      p.cfg.Name,
		Organisation: v.org.Name,
		Steps:        steps(v.stage),
		Person:       v.person,
		Credential:   v.credential,
		Credentials:  v.org.offers,
		Problem:      v.problem,
		PIN:          v.request.pin,
		Retrieved:    v.stage == stageRetrieved,
		Expired:      v.expired(now),
		ExpiresIn:    max(0, v.request.expires.Sub(now)).Round(time.Second),
		ReturnURL:    v.org.returnURL(v.kickstart),
	}
	head := frame.Head{Title: "Prove who you are"}
	page := string(v.stage)
	switch v.stage {
	case stageCard, stageRetrieved:
		link, err := frame.DeepLink(v.request.deepLink)
		if err != nil {
			p.broken(w, r, err)
			return
		}
		data.DeepLink, data.DeepLinkText = link, v.request.deepLink
		claims := v.credential.Claims(v.person)
		for _, name := range slices.Sorted(maps.Keys(claims)) {
			data.Claims = append(data.Claims, claim{name, claims[name]})
		}
		if p.cfg.WalletURL != "" {
			data.WalletLink = p.cfg.WalletURL + "?link=" + url.QueryEscape(v.request.deepLink)
		}
		head.Title = "Add the card to your wallet"
		page = string(stageCard)
		if !data.Expired {
			head.Refresh, head.Events = refreshSeconds, data.Path+"/events?stage="+string(v.stage)
		}
	case stageIssued:
		head.Title = "Card issued"
	case stageFailed:
		head.Title = "No card was issued"
	case stageAbandoned:
		head.Title = "You left without a card"
	case stageDocument, stageSelfie:
	}
	p.pages.Write(w, http.StatusOK, page, head, data)
}

func steps(s stage) []step {
	at := map[stage]int{stageDocument: 0, stageSelfie: 1, stageCard: 2, stageRetrieved: 2, stageFailed: 2, stageIssued: 3}
	current, ok := at[s]
	if !ok {
		return nil
	}
	all := []step{{Name: "Your document"}, {Name: "Selfie"}, {Name: "Add the card"}, {Name: "Go back"}}
	for i := range all {
		all[i].Done, all[i].Current = i < current, i == current
	}
	return all
}

// code is the QR code of the deep link.
func (p *Partner) code(w http.ResponseWriter, r *http.Request, v visit) {
	if v.request.deepLink == "" {
		p.notFound(w, r)
		return
	}
	png, err := qrcode.Encode(v.request.deepLink, qrcode.Medium, codePixels)
	if err != nil {
		p.broken(w, r, err)
		return
	}
	picture(w, "image/png", png)
}

// portrait is the picture drawn as the selfie.
func (p *Partner) portrait(w http.ResponseWriter, r *http.Request, v visit) {
	if v.portrait == nil {
		p.notFound(w, r)
		return
	}
	picture(w, "image/jpeg", v.portrait)
}

func picture(w http.ResponseWriter, contentType string, content []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(content) // the visitor left: nobody to tell
}

// events tells the waiting page that something happened, or that the code ran out. The page
// says which stage it shows: what happened before the stream began must not be missed.
func (p *Partner) events(w http.ResponseWriter, r *http.Request, v visit) {
	changed := v.changed
	if r.URL.Query().Get("stage") != string(v.stage) {
		passed := make(chan struct{})
		close(passed)
		changed = passed
	}
	frame.Stream(w, r, changed, v.end().Sub(p.cfg.Now()))
}
