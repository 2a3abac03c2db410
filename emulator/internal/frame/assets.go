// SPDX-License-Identifier: Apache-2.0

package frame

import (
	_ "embed"
	"net/http"
	"strconv"
)

//go:embed style.css
var styleSheet []byte

//go:embed script.js
var script []byte

// Assets serves the style sheet and the script; mount it below the path given to [Parse] with
// the prefix removed.
func Assets() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /style.css", asset("text/css; charset=utf-8", styleSheet))
	mux.Handle("GET /script.js", asset("text/javascript; charset=utf-8", script))
	return mux
}

func asset(contentType string, content []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		SecurityHeaders(w.Header())
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		// Short: the files change with every build of the emulator, and their names do not.
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = w.Write(content)
	})
}
