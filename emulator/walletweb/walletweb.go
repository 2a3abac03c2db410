// SPDX-License-Identifier: Apache-2.0

package walletweb

import (
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
	"github.com/caddy-verified-id/caddy-verified-id/emulator/internal/frame"
)

//go:embed pages/*.html
var pageFiles embed.FS

const (
	home       = "/wallet"
	assetsPath = home + "/assets/"
	offerPath  = home + "/offers/"
	cardPath   = home + "/cards/"

	maxFormBytes = 64 << 10
)

// Config sets up a [Wallet].
type Config struct {
	// Emulator whose wallet is shown. Required.
	Emulator *emulator.Emulator

	// AllowNonLoopback lets other machines in. Without it the pages answer loopback addresses
	// and loopback names only.
	AllowNonLoopback bool

	// Logger gets one line per opened and answered request. Default: discard.
	Logger *slog.Logger
}

// Wallet is the pages of one wallet. It is an [http.Handler] and safe for concurrent use. Make
// one with [New].
type Wallet struct {
	e       *emulator.Emulator
	wallet  *emulator.Wallet
	logger  *slog.Logger
	offers  *offers
	pages   *frame.Pages
	handler http.Handler
}

// New returns the pages of the emulator's default wallet.
func New(cfg Config) (*Wallet, error) {
	if cfg.Emulator == nil {
		return nil, errors.New("wallet pages: no emulator")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	role := frame.Role{Name: "Wallet", Stands: "Microsoft Authenticator", Home: home}
	pages, err := frame.Parse(pageFiles, "pages", role, assetsPath)
	if err != nil {
		return nil, fmt.Errorf("wallet pages: %w", err)
	}
	w := &Wallet{e: cfg.Emulator, wallet: cfg.Emulator.Wallet(), logger: cfg.Logger, offers: newOffers(), pages: pages}
	w.handler = frame.SameOrigin(w.routes())
	if !cfg.AllowNonLoopback {
		w.handler = frame.ThisMachine(w.handler)
	}
	return w, nil
}

func (w *Wallet) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+home, w.home)
	mux.HandleFunc("GET "+home+"/{$}", w.home)
	mux.HandleFunc("GET "+home+"/waiting", w.waiting)
	mux.Handle("GET "+assetsPath, http.StripPrefix(home+"/assets", frame.Assets()))

	mux.HandleFunc("GET "+home+"/open", w.open)
	mux.HandleFunc("GET "+offerPath+"{id}", w.withOffer(w.show))
	mux.HandleFunc("POST "+offerPath+"{id}/share", w.withOffer(w.share))
	mux.HandleFunc("POST "+offerPath+"{id}/trick", w.withOffer(w.trick))
	mux.HandleFunc("POST "+offerPath+"{id}/accept", w.withOffer(w.accept))
	mux.HandleFunc("POST "+offerPath+"{id}/decline", w.withOffer(w.decline))

	mux.HandleFunc("POST "+home+"/cards", w.handOut)
	mux.HandleFunc("GET "+cardPath+"{id}", w.withCard(w.card))
	mux.HandleFunc("GET "+cardPath+"{id}/photo.jpg", w.withCard(w.photo))
	mux.HandleFunc("POST "+cardPath+"{id}/revoke", w.withCard(w.revoke))
	mux.HandleFunc("POST "+cardPath+"{id}/remove", w.withCard(w.remove))

	mux.HandleFunc("/", w.notFound)
	return mux
}

// ServeHTTP answers everything below /wallet.
func (w *Wallet) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	frame.SecurityHeaders(rw.Header()) // here, so that the router's own answers have them too
	rw.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(rw, r.Body, maxFormBytes)
	w.handler.ServeHTTP(rw, r)
}

func (w *Wallet) notFound(rw http.ResponseWriter, _ *http.Request) {
	w.pages.Write(rw, http.StatusNotFound, "notfound", frame.Head{Title: "Nothing here"}, nil)
}

func (w *Wallet) broken(rw http.ResponseWriter, r *http.Request, err error) {
	w.logger.LogAttrs(r.Context(), slog.LevelError, "page failed", slog.String("error", err.Error()))
	w.pages.Write(rw, http.StatusInternalServerError, "problem", frame.Head{Title: "Something broke"}, problem{
		Title: "Something broke", Text: "This is a fault of the emulator and not of your site.", Detail: err.Error(),
	})
}

// problem is a page that says what went wrong.
type problem struct{ Title, Text, Detail string }

func seeOther(rw http.ResponseWriter, r *http.Request, path string) {
	http.Redirect(rw, r, path, http.StatusSeeOther)
}
