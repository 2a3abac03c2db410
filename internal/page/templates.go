// SPDX-License-Identifier: Apache-2.0

package page

import (
	"embed"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed templates/*.html
var templateFiles embed.FS

// The templates, by file name without .html.
const (
	layoutTemplate    = "layout"
	startTemplate     = "start"
	waitTemplate      = "wait"
	refusedTemplate   = "refused"
	expiredTemplate   = "expired"
	onwardTemplate    = "onward"
	doneTemplate      = "done"
	logoutTemplate    = "logout"
	signedOutTemplate = "signed_out"
	sessionTemplate   = "session"
	problemTemplate   = "problem"
)

// pageTemplates are those that are pages; each is parsed together with the layout.
var pageTemplates = []string{
	startTemplate, waitTemplate, refusedTemplate, expiredTemplate, onwardTemplate, doneTemplate,
	logoutTemplate, signedOutTemplate, sessionTemplate, problemTemplate,
}

// TemplateNames lists the files that [Config.TemplatesDir] may hold besides messages.json.
func TemplateNames() []string {
	names := []string{layoutTemplate + ".html"}
	for _, name := range pageTemplates {
		names = append(names, name+".html")
	}
	return names
}

// loadTemplates parses our templates, or in their place those of the operator. Both go through html/template with nothing but its
// built-in functions: no file, no environment, no way around the escaping (TM-102).
func loadTemplates(dir string) (map[string]pageTemplate, error) {
	own, err := operatorTemplates(dir)
	if err != nil {
		return nil, err
	}
	layout := template.New("").Option("missingkey=error")
	layoutFile, err := parseTemplate(layout, layoutTemplate, own)
	if err != nil {
		return nil, err
	}
	pages := make(map[string]pageTemplate, len(pageTemplates))
	for _, name := range pageTemplates {
		t, err := layout.Clone()
		if err != nil {
			return nil, fmt.Errorf("parsing template %s: %w", layoutFile, err)
		}
		file, err := parseTemplate(t, name, own)
		if err != nil {
			return nil, err
		}
		pages[name] = pageTemplate{t, file + " in " + layoutFile}
	}
	return pages, nil
}

// pageTemplate is one page, ready to be rendered.
type pageTemplate struct {
	*template.Template
	files string // for errors: what it is made of
}

// operatorTemplates lists the operator's files by name. A file we would not read is an error: the operator believes it is in use.
func operatorTemplates(dir string) (map[string]string, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading templates: %w", err)
	}
	own := make(map[string]string)
	for _, entry := range entries {
		switch name := entry.Name(); {
		case slices.Contains(TemplateNames(), name):
			own[strings.TrimSuffix(name, ".html")] = filepath.Join(dir, name)
		case name != messagesFile && strings.HasSuffix(name, ".html"):
			return nil, fmt.Errorf("template %s: no page has this name; want one of %s", filepath.Join(dir, name), strings.Join(TemplateNames(), ", "))
		}
	}
	return own, nil
}

// parseTemplate adds one file, the operator's before ours, to t, and returns its name.
func parseTemplate(t *template.Template, name string, own map[string]string) (string, error) {
	file, read := "templates/"+name+".html", templateFiles.ReadFile
	if ownFile, ok := own[name]; ok {
		file, read = ownFile, os.ReadFile
	}
	content, err := read(file)
	if err != nil {
		return "", fmt.Errorf("reading template: %w", err)
	}
	if _, err := t.New(file).Parse(string(content)); err != nil {
		return "", fmt.Errorf("parsing template %s: %w", file, err)
	}
	return file, nil
}
