// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

func messages(t *testing.T, language string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("messages", language+".json"))
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	texts := make(map[string]string)
	if err := json.Unmarshal(content, &texts); err != nil {
		t.Fatalf("parsing %s: %v", language, err)
	}
	return texts
}

// Every language says everything, and has room for the same names and numbers.
func TestLanguagesAreComplete(t *testing.T) {
	t.Parallel()
	if languages := page.Languages(); !slices.Equal(languages, []string{"de", "en"}) {
		t.Errorf("Languages() = %q", languages)
	}
	placeholder := regexp.MustCompile(`%(\[\d+\])?.`)
	want := messages(t, page.DefaultLanguage)
	for _, language := range page.Languages() {
		got := messages(t, language)
		for _, key := range slices.Sorted(maps.Keys(want)) {
			text, ok := got[key]
			switch {
			case !ok || strings.TrimSpace(text) == "":
				t.Errorf("%s has no text for %s", language, key)
			case text != strings.TrimSpace(text) || strings.Contains(text, "  "):
				t.Errorf("%s: %s has surplus blanks", language, key)
			case !slices.Equal(placeholder.FindAllString(text, -1), placeholder.FindAllString(want[key], -1)):
				t.Errorf("%s: %s has other placeholders than %s", language, key, page.DefaultLanguage)
			case language != page.DefaultLanguage && text == want[key] && len(strings.Fields(text)) > 3 && key != "footer":
				t.Errorf("%s: %s is not translated", language, key)
			}
		}
		for key := range got {
			if _, ok := want[key]; !ok {
				t.Errorf("%s has the text %s, which %s has not", language, key, page.DefaultLanguage)
			}
		}
		if got["lang"] != language {
			t.Errorf("%s calls itself %q", language, got["lang"])
		}
	}
}

// A text that nobody uses is translated for nothing; one that is used and missing is a hole in a page.
func TestTextsAreUsed(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, pattern := range []string{"*.go", "templates/*.html"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatalf("listing: %v", err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("reading: %v", err)
			}
			source.Write(content)
		}
	}
	used, texts := source.String(), messages(t, page.DefaultLanguage)
	// Keys that are put together: "problem_" + kind and so on.
	composed := regexp.MustCompile(`^(problem_[a-z_]+|refused_(retry|other|renew|ask)_title|age_(second|minute|hour)s?|live_(created|retrieved|verified))$`)
	for key := range texts {
		if !strings.Contains(used, `"`+key+`"`) && !regexp.MustCompile(`\.T\.`+key+`\b`).MatchString(used) && !composed.MatchString(key) {
			t.Errorf("text %s is not used", key)
		}
	}
	for _, match := range regexp.MustCompile(`\.T\.([a-z_0-9]+)`).FindAllStringSubmatch(used, -1) {
		if _, ok := texts[match[1]]; !ok {
			t.Errorf("a template uses the text %s, which does not exist", match[1])
		}
	}
	for _, kind := range problemKinds() {
		if texts["problem_"+kind] == "" || texts["problem_"+kind+"_title"] == "" {
			t.Errorf("no text for the problem %s", kind)
		}
	}
}

// The verifier's list of reasons is closed; each has words here, and none of them is the general sentence by oversight.
func TestEveryReasonHasWords(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{})
	for _, reason := range verifier.Reasons() {
		if !slices.Contains(page.RefusalReasons(), string(reason)) {
			t.Errorf("no words for the reason %s", reason)
		}
	}
	ofTheGate := []string{"bind_mismatch", "holder_limited", "scanned_twice"}
	for _, reason := range page.RefusalReasons() {
		if !slices.Contains(verifier.Reasons(), verifier.Reason(reason)) && !slices.Contains(ofTheGate, reason) {
			t.Errorf("words for %s, which the verifier never says", reason)
		}
	}
	for _, reason := range append(page.RefusalReasons(), "unknown") {
		p := rendered{"refused " + reason, httptest.NewRecorder()}
		r.Refused(p, page.Refused{Choice: page.Choice{Credential: "employee"}, Reason: reason, CanRetry: true})
		root := parse(t, p)
		if title := textOf(named(root, "h1")[0]); title == "" {
			t.Errorf("refusal page for %s has no heading", reason)
		}
		for i, n := range named(root, "p")[:2] {
			if len(textOf(n)) < 20 {
				t.Errorf("paragraph %d of the refusal page for %s is %q", i, reason, textOf(n))
			}
		}
	}
	for _, reason := range append(page.StartReasons(), "unknown") {
		p := rendered{"start " + reason, httptest.NewRecorder()}
		r.Start(p, page.Start{Choices: []page.Choice{{Credential: "employee"}}, Reason: reason})
		notes := 0
		for _, n := range named(parse(t, p), "p") {
			if class, _ := attr(n, "class"); class == "note" && len(textOf(n)) > 20 {
				notes++
			}
		}
		if notes != 1 {
			t.Errorf("start page for %s has %d notes, want 1", reason, notes)
		}
	}
}

// What [verifier.Requirement.Meets] may find is why people come back to the start page.
func TestStartKnowsWhyASessionDoesNotMeet(t *testing.T) {
	t.Parallel()
	for _, reason := range []verifier.Reason{
		verifier.ReasonOtherCredential, verifier.ReasonPolicyChanged, verifier.ReasonWrongType, verifier.ReasonWrongIssuer,
		verifier.ReasonFaceCheckMissing, verifier.ReasonFaceCheckLow, verifier.ReasonRequiredClaim, verifier.ReasonCredentialExpired,
		verifier.ReasonPresentationTooOld, verifier.ReasonPresentationFuture, verifier.ReasonRevoked, verifier.ReasonCredentialTooOld,
		"bind_mismatch", "session_expired", "session_revoked",
	} {
		if !slices.Contains(page.StartReasons(), string(reason)) {
			t.Errorf("no words for the reason %s", reason)
		}
	}
}

// A text that tells the score or the claim tells the wrong holder what to change.
func TestRefusalTellsNoValues(t *testing.T) {
	t.Parallel()
	for _, language := range page.Languages() {
		for key, text := range messages(t, language) {
			if strings.HasPrefix(key, "no") && strings.ContainsAny(text, "%0123456789") {
				t.Errorf("%s: %s has a number or a placeholder", language, key)
			}
		}
	}
}
