// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"encoding/base64"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	large := "data:image/png;base64," + base64.StdEncoding.EncodeToString(make([]byte, 256<<10+1))
	tests := []struct {
		name   string
		config page.Config
		want   string // part of the error
	}{
		{"colour without #", page.Config{Colour: "1d4ed8"}, "colour"},
		{"short colour", page.Config{Colour: "#fff"}, "colour"},
		{"colour with alpha", page.Config{Colour: "#1d4ed8ff"}, "colour"},
		{"named colour", page.Config{Colour: "rebeccapurple"}, "colour"},
		{"signed colour", page.Config{Colour: "#+d4ed8"}, "colour"},
		{"style in colour", page.Config{Colour: "#fff;}*{"}, "colour"},
		{"unknown language", page.Config{Language: "xx"}, "de, en"},
		{"language as a path", page.Config{Language: "../messages/en"}, "language"},
		{"foreign logo", page.Config{Logo: "https://cdn.example/logo.png"}, "logo"},
		{"foreign logo without scheme", page.Config{Logo: "//cdn.example/logo.png"}, "logo"},
		{"foreign logo with a backslash", page.Config{Logo: `/\cdn.example/logo.png`}, "logo"},
		{"relative logo", page.Config{Logo: "logo.png"}, "logo"},
		{"script as logo", page.Config{Logo: "javascript:alert(1)"}, "logo"},
		{"page as logo", page.Config{Logo: "data:text/html;base64,PGI+"}, "logo"},
		{"logo with charset", page.Config{Logo: "data:image/svg+xml;charset=utf-8;base64,PGI+"}, "logo"},
		{"logo not in base64", page.Config{Logo: "data:image/svg+xml,<svg/>"}, "logo"},
		{"broken base64", page.Config{Logo: "data:image/png;base64,****"}, "logo"},
		{"empty picture", page.Config{Logo: "data:image/png;base64,"}, "logo"},
		{"large picture", page.Config{Logo: large}, "logo"},
		{"logo of a partner", page.Config{PartnerLogos: map[string]string{"idv": "https://cdn.example/x.png"}}, `"idv"`},
		{"no such directory", page.Config{TemplatesDir: filepath.Join(t.TempDir(), "none")}, "none"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := page.New(test.config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New = %v, want an error with %q", err, test.want)
			}
		})
	}
}

// write makes a directory with files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatalf("writing: %v", err)
		}
	}
	return dir
}

// TM-102. A theme from the internet brings a template that reads the environment or a file, or one that is simply broken. It is
// found when the configuration loads, and the error names the file; a visitor never meets it.
func TestBrokenTemplatesDoNotLoad(t *testing.T) {
	t.Parallel()
	const title = `{{define "title"}}x{{end}}`
	tests := []struct {
		name  string
		files map[string]string
		want  string // the file
	}{
		{"syntax", map[string]string{"start.html": title + `{{define "main"}}{{if}}{{end}}`}, "start.html"},
		{"unclosed", map[string]string{"wait.html": title + `{{define "main"}}`}, "wait.html"},
		{"environment", map[string]string{"start.html": title + `{{define "main"}}{{env "HOME"}}{{end}}`}, "start.html"},
		{"file", map[string]string{"start.html": title + `{{define "main"}}{{readFile "/etc/passwd"}}{{end}}`}, "start.html"},
		{"include", map[string]string{"start.html": title + `{{define "main"}}{{include "x"}}{{end}}`}, "start.html"},
		{"no escaping", map[string]string{"start.html": title + `{{define "main"}}{{safeHTML .Meta.Site}}{{end}}`}, "start.html"},
		{"unknown field", map[string]string{"logout.html": title + `{{define "main"}}{{.Page.Nothing}}{{end}}`}, "logout.html"},
		{"unknown text", map[string]string{"logout.html": title + `{{define "main"}}{{.T.nothing}}{{end}}`}, "logout.html"},
		{"unknown template", map[string]string{"logout.html": title + `{{define "main"}}{{template "nothing"}}{{end}}`}, "logout.html"},
		{"value in script", map[string]string{"logout.html": title + `{{define "main"}}<script>x = {{"{{"}}</script><a href={{.Page.Back}}{{end}}`}, "logout.html"},
		{"broken markup", map[string]string{"logout.html": title + `{{define "main"}}<a href="{{.Page.Back}}{{end}}`}, "logout.html"},
		{"name of no page", map[string]string{"strat.html": title}, "strat.html"},
		{"layout says nothing", map[string]string{"layout.html": `{{define "layout"}} {{end}}`}, "layout.html"},
		{"texts are no JSON", map[string]string{"messages.json": `{`}, "messages.json"},
		{"texts are a list", map[string]string{"messages.json": `["a"]`}, "messages.json"},
		{"text we do not have", map[string]string{"messages.json": `{"start_titel": "x"}`}, "messages.json"},
		{"text without its placeholder", map[string]string{"messages.json": `{"start_lead": "x"}`}, "messages.json"},
		{"text with another placeholder", map[string]string{"messages.json": `{"start_title": "%s"}`}, "messages.json"},
		{"direction", map[string]string{"messages.json": `{"dir": "up"}`}, "messages.json"},
		{"language tag", map[string]string{"messages.json": `{"lang": "x\" onload=\"y"}`}, "messages.json"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := page.New(page.Config{TemplatesDir: write(t, test.files)}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New = %v, want an error that names %s", err, test.want)
			}
		})
	}
}

func TestOwnTemplatesAndTexts(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{TemplatesDir: write(t, map[string]string{
		"logout.html":   `{{define "title"}}Bye{{end}}{{define "main"}}<h1>Own page for {{.Page.Site}}</h1><form method="post" action="{{.Page.Action}}">{{end}}`,
		"messages.json": `{"lang": "fr", "dir": "ltr", "signed_out_title": "Vous êtes <déconnecté>"}`,
		"README.txt":    "not a template",
	})})
	p := rendered{"logout", httptest.NewRecorder()}
	r.Logout(p, page.Logout{Meta: page.Meta{Site: "<i>site</i>"}})
	if got := textOf(named(parse(t, p), "h1")[0]); got != "Own page for <i>site</i>" {
		t.Errorf("own template says %q", got)
	}
	p = rendered{"signed out", httptest.NewRecorder()}
	r.SignedOut(p, page.SignedOut{})
	root := parse(t, p)
	if got := textOf(named(root, "h1")[0]); got != "Vous êtes <déconnecté>" {
		t.Errorf("own text is %q", got)
	}
	if got, _ := attr(named(root, "html")[0], "lang"); got != "fr" {
		t.Errorf("lang = %q, want fr", got)
	}
}

// TM-102. A template that breaks on a certain value only is found by a visitor after all. They get a short answer with the same
// headers, and neither half a page nor the error.
func TestTemplateThatBreaksLate(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{TemplatesDir: write(t, map[string]string{
		"start.html": `{{define "title"}}x{{end}}{{define "main"}}half {{if eq .Page.Destination "canary"}}{{index .Page.Choices 99}}{{end}}{{end}}`,
	})})
	w := httptest.NewRecorder()
	r.Start(w, page.Start{Destination: "canary"})
	if w.Code != 500 || strings.Contains(w.Body.String(), "half") || strings.Contains(w.Body.String(), "index") {
		t.Errorf("status %d, body %q", w.Code, w.Body)
	}
	if w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Header().Get("Content-Security-Policy") == "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("headers = %v", w.Header())
	}
}
