// SPDX-License-Identifier: Apache-2.0

package page

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// DefaultLanguage is the language of the pages when [Config.Language] is empty. It is complete; the others are tested to be.
const DefaultLanguage = "en"

// messagesFile is the operator's file of texts in [Config.TemplatesDir].
const messagesFile = "messages.json"

//go:embed messages/*.json
var messageFiles embed.FS

// Messages are all words the pages say, by key. They are plain text: the templates escape them like any other value, so that
// an apostrophe or an angle bracket in a translation does no harm.
type Messages map[string]string

// Languages lists the languages there are texts for.
func Languages() []string {
	entries, err := fs.ReadDir(messageFiles, "messages")
	if err != nil {
		panic("page: internal error: " + err.Error()) // the embedded directory is part of the build
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), ".json"))
	}
	return names
}

// loadMessages reads the texts of a language and lays those of the operator's directory, if any, over them.
func loadMessages(language, dir string) (Messages, error) {
	if language == "" {
		language = DefaultLanguage
	}
	if !slices.Contains(Languages(), language) {
		return nil, fmt.Errorf("language %q: want one of %s", language, strings.Join(Languages(), ", "))
	}
	content, err := messageFiles.ReadFile("messages/" + language + ".json")
	if err != nil {
		return nil, fmt.Errorf("reading texts: %w", err)
	}
	texts := Messages{}
	if err := json.Unmarshal(content, &texts); err != nil {
		return nil, fmt.Errorf("reading texts of %s: %w", language, err)
	}
	if dir == "" {
		return texts, nil
	}
	name := filepath.Join(dir, messagesFile)
	content, err = os.ReadFile(name) //nolint:gosec // a file the operator named
	if errors.Is(err, fs.ErrNotExist) {
		return texts, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading texts: %w", err)
	}
	own := Messages{}
	if err := json.Unmarshal(content, &own); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if err := texts.override(own); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return texts, nil
}

// override replaces texts one by one. A key we do not know is a typing mistake, and a text with other placeholders than ours
// would show "%!d(string=…)" to a visitor.
func (m Messages) override(own Messages) error {
	for _, key := range slices.Sorted(maps.Keys(own)) {
		text, ok := m[key]
		switch {
		case !ok:
			return fmt.Errorf("%q is no text of ours", key)
		case !slices.Equal(verbs(text), verbs(own[key])):
			return fmt.Errorf("%q must have the placeholders %q", key, verbs(text))
		case key == "dir" && own[key] != "ltr" && own[key] != "rtl":
			return errors.New(`"dir" must be ltr or rtl`)
		case key == "lang" && !languageTag.MatchString(own[key]):
			return errors.New(`"lang" must be a language tag such as fr or pt-BR`)
		}
		m[key] = own[key]
	}
	return nil
}

var (
	languageTag = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`)
	verb        = regexp.MustCompile(`%(\[\d+\])?.`)
)

// verbs lists the placeholders of a text in their order of use.
func verbs(text string) []string { return verb.FindAllString(text, -1) }

// firstOf returns the text of the first key there is.
func (m Messages) firstOf(keys ...string) string {
	for _, key := range keys {
		if text, ok := m[key]; ok {
			return text
		}
	}
	return ""
}
