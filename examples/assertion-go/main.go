// SPDX-License-Identifier: Apache-2.0

// Command assertion-go is an app behind the gate that believes no header but the signed assertion. SITE is the origin of the
// gated site, LISTEN the address to listen on.
package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"
)

func main() {
	verifier := &Verifier{Site: os.Getenv("SITE"), Client: &http.Client{Timeout: 10 * time.Second}}
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := verifier.Verify(r.Context(), r.Header.Get("X-Verified-Id-Assertion"))
		if err != nil {
			slog.Info("refused", "reason", err)
			http.Error(w, "Nobody.", http.StatusUnauthorized)
			return
		}
		// The site may have other gates: this page is for employees with a live face.
		if who.Shown.Credential != "employee" || who.Shown.FaceCheck.Threshold < 80 {
			http.Error(w, "Not for you.", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "Hello, %s.\n", who.Shown.Claims["displayName"])
	})
	server := &http.Server{Addr: os.Getenv("LISTEN"), Handler: app, ReadHeaderTimeout: 10 * time.Second}
	slog.Error("ended", "reason", server.ListenAndServe())
}
