// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed layout.html
var layout embed.FS

// Role says which part of the real world a set of pages stands for.
type Role struct {
	// Name of the part, for the page's head line: "Wallet".
	Name string

	// Stands names what it stands for, for the banner: "Microsoft Authenticator".
	Stands string

	// Home is the path of the part's first page.
	Home string
}

// Head is what the layout shows of one page.
type Head struct {
	// Title of the page, without the part's name.
	Title string

	// Refresh, in seconds, reloads the page in browsers without JavaScript. 0: never.
	Refresh int

	// Events is the path of an event stream whose first message makes the script reload the
	// page. Empty: none.
	Events string
}

// Pages is a set of parsed pages. Safe for concurrent use.
type Pages struct {
	role   Role
	assets string
	byName map[string]*template.Template
}

// Parse reads every *.html file in the folder dir of files. Each must define the template
// "content". assets is the path, with a slash at its end, under which the part serves
// [Assets].
func Parse(files fs.FS, dir string, role Role, assets string) (*Pages, error) {
	base, err := template.New("layout.html").ParseFS(layout, "layout.html")
	if err != nil {
		return nil, fmt.Errorf("parsing layout: %w", err)
	}
	names, err := fs.Glob(files, path.Join(dir, "*.html"))
	if err != nil {
		return nil, fmt.Errorf("listing pages: %w", err)
	}
	p := &Pages{role: role, assets: assets, byName: make(map[string]*template.Template, len(names))}
	for _, name := range names {
		page, err := base.Clone()
		if err != nil {
			return nil, fmt.Errorf("cloning layout: %w", err)
		}
		if _, err := page.ParseFS(files, name); err != nil {
			return nil, fmt.Errorf("parsing page %s: %w", name, err)
		}
		if page.Lookup("content") == nil {
			return nil, fmt.Errorf("parsing page %s: it defines no content", name)
		}
		p.byName[strings.TrimSuffix(path.Base(name), ".html")] = page
	}
	return p, nil
}

// Write sends the page called name with the status code. data is what its "content" template
// sees. A page that cannot be rendered is answered with 500 and plain text: it is a mistake in
// the emulator, and half a page would hide it.
func (p *Pages) Write(w http.ResponseWriter, status int, name string, head Head, data any) {
	page, ok := p.byName[name]
	if !ok {
		http.Error(w, "emulator: no page called "+name, http.StatusInternalServerError)
		return
	}
	var body bytes.Buffer
	view := struct {
		Role   Role
		Assets string
		Head   Head
		Data   any
	}{p.role, p.assets, head, data}
	if err := page.Execute(&body, view); err != nil {
		http.Error(w, "emulator: rendering page "+name+": "+err.Error(), http.StatusInternalServerError)
		return
	}
	SecurityHeaders(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the visitor left: nobody to tell
}
