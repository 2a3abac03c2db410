// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// presetApp is an app with one credential of the partner in whose place the options stand.
func presetApp(credential, idv string) *App {
	app := &App{
		Credentials: map[string]*Credential{"identity": {Issuers: []string{"did:web:did.partner.example"}, IDV: []string{"first"}}},
		IDV:         map[string]*IDV{"first": {URL: "https://idv.example/contoso/", OrgID: "contoso"}},
	}
	for text, into := range map[string]any{credential: app.Credentials["identity"], idv: app.IDV["first"]} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			panic(err)
		}
	}
	return app
}

// A preset fills in what is published, and anything written wins over it.
func TestPresetFillsInWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ credential, idv, kind, photo, display string }{
		"nothing written":          {`{}`, `{"partner": "au10tix"}`, "VerifiedIdentity", "portrait", "AU10TIX"},
		"threshold written":        {`{"face_check": {"threshold": 90}}`, `{"partner": "clear"}`, "VerifiedIdentity", "portrait", "CLEAR"},
		"type written":             {`{"type": "VerifiedIdentity"}`, `{"partner": "idemia"}`, "VerifiedIdentity", "portrait", "IDEMIA"},
		"photo claim written":      {`{"face_check": {"photo_claim": "face"}}`, `{"partner": "vu"}`, "VUIdentityCard", "face", "VU"},
		"all written":              {`{"type": "A", "face_check": {"photo_claim": "b"}}`, `{"partner": "au10tix", "display_name": "C"}`, "A", "b", "C"},
		"no Face Check":            {`{"face_check": {"off": true}}`, `{"partner": "vu"}`, "VUIdentityCard", "", "VU"},
		"alias":                    {`{"type": "A", "face_check": {"photo_claim": "b"}}`, `{"partner": "entrust"}`, "A", "b", "Onfido (Entrust)"},
		"no preset":                {`{"type": "A"}`, `{}`, "A", "photo", "first"},
		"a name is no preset":      {`{"type": "VerifiedIdentity"}`, `{"display_name": "au10tix"}`, "VerifiedIdentity", "photo", "au10tix"},
		"type of another contract": {`{"type": "A", "face_check": {"photo_claim": "photo"}}`, `{"partner": "au10tix"}`, "A", "photo", "AU10TIX"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := presetApp(c.credential, c.idv)
			built, err := app.buildCredential("identity", app.Credentials["identity"])
			if err != nil {
				t.Fatal(err)
			}
			photo := ""
			if face := built.base.FaceCheck; face != nil {
				photo = face.SourcePhotoClaim
			}
			if built.base.Type != c.kind || photo != c.photo {
				t.Errorf("asks for %s with the photo in %q, want %s with %q", built.base.Type, photo, c.kind, c.photo)
			}
			partner, err := app.IDV["first"].build("first")
			if err != nil || partner.displayName != c.display {
				t.Errorf("the partner is called %+v, %v, want %q", partner, err, c.display)
			}
		})
	}
}

// A request body from the admin center says the type and the issuer; the preset still knows the photo claim of that type.
func TestPresetBesideARequestFile(t *testing.T) {
	t.Parallel()
	for kind, wants := range map[string]string{"VerifiedIdentity": "portrait", "ContosoIdentity": "face_check needs the photo claim"} {
		app := presetApp(`{"issuers": null}`, `{"partner": "au10tix"}`)
		file := filepath.Join(t.TempDir(), "request.json")
		body := `{"requestedCredentials": [{"type": "` + kind + `", "acceptedIssuers": ["did:web:did.partner.example"]}]}`
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		c := app.Credentials["identity"]
		c.RequestFile = file
		if _, err := app.buildCredential("identity", c.withoutFiles()); err != nil {
			t.Errorf("before the file is read: %v", err)
		}
		complete, err := app.withRequestFile(c)
		if err != nil {
			t.Fatal(err)
		}
		built, err := app.buildCredential("identity", complete)
		switch {
		case err != nil && !strings.Contains(err.Error(), wants):
			t.Errorf("%s: %v, want %q", kind, err, wants)
		case err == nil && (built.base.Type != kind || built.base.FaceCheck.SourcePhotoClaim != wants):
			t.Errorf("%s: asks for %s with the photo in %s", kind, built.base.Type, built.base.FaceCheck.SourcePhotoClaim)
		}
	}
}

// Whoever sets up a partner begins with nothing but its name. Each refusal says one thing to ask for and the option that takes
// it, until nothing is left to ask.
func TestPresetsLeadToAWholeConfig(t *testing.T) {
	t.Parallel()
	answers := map[string]func(*App){
		"url https://…":        func(a *App) { a.IDV["first"].URL = "https://idv.example/contoso/?token={token}" },
		"org_id <id>":          func(a *App) { a.IDV["first"].OrgID = "contoso" },
		"type <type>":          func(a *App) { a.Credentials["identity"].Type = "ContosoIdentity" },
		"issuer <did>":         func(a *App) { a.Credentials["identity"].Issuers = []string{"did:web:did.partner.example"} },
		"face_check <photo cl": func(a *App) { a.Credentials["identity"].FaceCheck = &FaceCheck{PhotoClaim: "picture"} },
	}
	said := regexp.MustCompile(`; then write (.*)`)
	for _, preset := range idvredirect.Presets() {
		t.Run(preset.Name, func(t *testing.T) {
			t.Parallel()
			app := presetApp(`{}`, `{"partner": "`+preset.Name+`"}`)
			app.IDV["first"].URL, app.IDV["first"].OrgID, app.Credentials["identity"].Issuers = "", "", nil
			steps := 0
			for ; steps < 10; steps++ {
				_, err := app.IDV["first"].build("first")
				if err == nil {
					_, err = app.buildCredential("identity", app.Credentials["identity"])
				}
				if err == nil {
					break
				}
				found := said.FindStringSubmatch(err.Error())
				if found == nil {
					t.Fatalf("%v", err)
				}
				if offered := strings.Contains(found[1], "manifest "+preset.Manifest.Value); strings.HasPrefix(found[1], "issuer") && offered != (preset.Manifest.Value != "") {
					t.Errorf("the manifest %q is offered: %v, in: %v", preset.Manifest.Value, offered, err)
				}
				for prefix, answer := range answers {
					if strings.HasPrefix(found[1], prefix) {
						answer(app)
					}
				}
			}
			want := len(preset.Unpublished())
			if preset.Ask("claims") != "" { // nothing has to be written for them
				want--
			}
			if steps != want {
				t.Errorf("%d questions were asked, want %d: %v", steps, want, preset.Unpublished())
			}
		})
	}
}

// The table of options names every preset, so that nobody has to look for them in the code.
func TestPresetsAreDocumented(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/caddyfile.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `partner <preset>`.*$").FindString(string(manual))
	for _, preset := range idvredirect.Presets() {
		for _, name := range append(preset.Aliases, preset.Name) {
			if !strings.Contains(row, "`"+name+"`") {
				t.Errorf("docs/caddyfile.md does not name the preset %s", name)
			}
		}
	}
}
