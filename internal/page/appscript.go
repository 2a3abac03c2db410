// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

// AppScript is the name of the script for single-page apps: below Base it is found under this name, which stays, and among the
// assets under one that changes with it.
const AppScript = "verified-id.js"

// appTexts are what the script says to people.
var appTexts = []string{
	"app_title", "app_text", "app_open", "app_wait_title", "app_wait_text", "app_again", "app_cancel",
}

// fillAppScript puts the texts and the colours of the configuration into the script. JSON is JavaScript, and the file is a script
// by itself, so that no text can end it.
func (r *Renderer) fillAppScript(script []byte, accent rgb) []byte {
	texts := make(map[string]string, len(appTexts))
	for _, key := range appTexts {
		texts[key] = r.texts[key]
	}
	for placeholder, value := range map[string]any{
		`"TEXTS"`: texts,
		`"THEME"`: fmt.Sprintf("--accent:%s;--on-accent:%s", accent, accent.foreground()),
	} {
		literal, err := json.Marshal(value)
		if err != nil {
			panic("page: internal error: " + err.Error())
		}
		script = bytes.Replace(script, []byte(placeholder), literal, 1)
	}
	return script
}

// ServeAppScript writes the script for single-page apps at the address that stays. Browsers keep it for minutes, so that an
// upgrade of ours reaches the apps.
func (r *Renderer) ServeAppScript(w http.ResponseWriter) {
	r.writeAsset(w, r.assets[AppScript], "public, max-age=300")
}
