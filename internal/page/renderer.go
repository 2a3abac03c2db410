// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
)

// DefaultColour is the accent colour when [Config.Colour] is empty.
const DefaultColour = "#1d4ed8"

// Renderer writes the pages. It is safe for concurrent use.
type Renderer struct {
	brand        string
	texts        Messages
	pages        map[string]pageTemplate
	assets       map[string]asset
	digest       string
	logo         picture
	partnerLogos map[string]picture
	codes        codes
	logger       *slog.Logger
}

// New checks the configuration, loads texts, templates and pictures, and renders each page once with sample values, so that
// what is broken stops the configuration and not a visitor.
func New(config Config) (*Renderer, error) {
	if config.Colour == "" {
		config.Colour = DefaultColour
	}
	r := &Renderer{brand: config.Brand, logger: config.Logger}
	if r.logger == nil {
		r.logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if r.texts, err = loadMessages(config.Language, config.TemplatesDir); err != nil {
		return nil, err
	}
	if err := r.loadAssets(config); err != nil {
		return nil, err
	}
	if r.pages, err = loadTemplates(config.TemplatesDir); err != nil {
		return nil, err
	}
	if err := r.renderSamples(); err != nil {
		return nil, err
	}
	return r, nil
}

// frame is what a template sees.
type frame struct {
	T         Messages
	Lang, Dir string
	Brand     string // may be empty
	Logo      string // path, may be empty
	Icon      string
	Style     string
	Script    string
	Popup     string // path of the script for windows that an app has opened
	Meta      Meta   // with its defaults filled in
	Page      any
}

// view is one page before it is rendered.
type view struct {
	template string
	status   int
	meta     Meta
	page     any
}

// complete fills in the defaults of m.
func (r *Renderer) complete(m Meta) Meta {
	m.Base = basePath(m.Base)
	start := m.Base + "/start"
	if m.StartPath = localPath(m.StartPath, start); len(m.StartPath) <= len(m.Base) || m.StartPath[:len(m.Base)+1] != m.Base+"/" {
		m.StartPath = start
	}
	if m.Site == "" {
		m.Site = r.brand
	}
	if m.Site == "" {
		m.Site = r.texts["this_site"]
	}
	return m
}

// execute renders v.
func (r *Renderer) execute(w io.Writer, v view) error {
	f := frame{
		T: r.texts, Lang: r.texts["lang"], Dir: r.texts["dir"], Brand: r.brand,
		Logo: r.picturePath(v.meta.Base, r.logo), Icon: r.assetPath(v.meta.Base, iconName),
		Style: r.assetPath(v.meta.Base, styleName), Script: r.assetPath(v.meta.Base, scriptName),
		Popup: r.assetPath(v.meta.Base, popupName),
		Meta:  v.meta, Page: v.page,
	}
	return r.pages[v.template].ExecuteTemplate(w, layoutTemplate, f)
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// write renders v into memory and sends it, so that a page is whole or is not sent.
func (r *Renderer) write(w http.ResponseWriter, v view) {
	body, ok := buffers.Get().(*bytes.Buffer)
	if !ok {
		body = new(bytes.Buffer)
	}
	defer buffers.Put(body)
	body.Reset()

	r.setHeaders(w.Header(), &v)
	if err := r.execute(body, v); err != nil {
		// Not the error itself: it may quote a value of the view.
		r.logger.Error("rendering page", "page", v.template)
		body.Reset()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(body, "%s\n", r.texts["problem_internal_title"])
		v.status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(v.status)
	if _, err := w.Write(body.Bytes()); err != nil {
		r.logger.Debug("writing page", "page", v.template, "error", err)
	}
}

var errEmptyPage = errors.New("renders nothing")

// renderSamples renders every page in each of its shapes.
func (r *Renderer) renderSamples() error {
	var body bytes.Buffer
	for _, v := range r.samples() {
		body.Reset()
		if err := r.execute(&body, v); err != nil {
			return fmt.Errorf("rendering template %s: %w", r.pages[v.template].files, err)
		}
		if len(bytes.TrimSpace(body.Bytes())) == 0 {
			return fmt.Errorf("rendering template %s: %w", r.pages[v.template].files, errEmptyPage)
		}
	}
	return nil
}
