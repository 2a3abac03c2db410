// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// privateWriter keeps an app's answer to one person out of shared caches (TM-105), and keeps the app from setting our
// cookies (TM-011).
type privateWriter struct {
	caddyhttp.ResponseWriterWrapper
	renew func(http.Header) // sets our own cookie, after the app's attempts to are dropped; nil: nothing to set
	done  bool
}

// WriteHeader corrects the header of the final answer; informational ones pass.
func (p *privateWriter) WriteHeader(status int) {
	if !p.done && (status >= 200 || status == http.StatusSwitchingProtocols) {
		p.correct()
	}
	p.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements io.Writer.
func (p *privateWriter) Write(b []byte) (int, error) {
	p.correct()
	return p.ResponseWriterWrapper.Write(b)
}

// ReadFrom implements io.ReaderFrom, so that sendfile still works.
func (p *privateWriter) ReadFrom(r io.Reader) (int64, error) {
	p.correct()
	return p.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is what http.ResponseController calls; a flush may be the first thing an app does.
func (p *privateWriter) FlushError() error {
	p.correct()
	return http.NewResponseController(p.ResponseWriter).Flush()
}

func (p *privateWriter) correct() {
	if p.done {
		return
	}
	p.done = true
	header := p.Header()
	header.Add("Vary", "Cookie")
	switch control := header.Values("Cache-Control"); {
	case len(control) == 0:
		header.Set("Cache-Control", "private")
	default:
		if weakened, changed := withoutShared(strings.Join(control, ", ")); changed {
			header.Set("Cache-Control", weakened)
		}
	}
	dropOwnCookies(header)
	if p.renew != nil {
		p.renew(header)
	}
}

// withoutShared takes away what lets a shared cache keep an answer.
func withoutShared(control string) (string, bool) {
	var kept []string
	changed, private := false, false
	for directive := range strings.SplitSeq(control, ",") {
		directive = strings.TrimSpace(directive)
		name, _, _ := strings.Cut(strings.ToLower(directive), "=")
		switch name {
		case "public", "s-maxage":
			changed = true
			continue
		case "private", "no-store":
			private = true
		}
		kept = append(kept, directive)
	}
	if !private {
		kept, changed = append(kept, "private"), true
	}
	return strings.Join(kept, ", "), changed
}

// dropOwnCookies removes Set-Cookie lines that carry one of our names.
func dropOwnCookies(header http.Header) {
	lines := header["Set-Cookie"]
	ours := func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return ownCookie(strings.TrimSpace(name))
	}
	for _, line := range lines {
		if !ours(line) {
			continue
		}
		kept := make([]string, 0, len(lines))
		for _, line := range lines {
			if !ours(line) {
				kept = append(kept, line)
			}
		}
		header["Set-Cookie"] = kept
		return
	}
}

// Interface guards.
var (
	_ http.ResponseWriter = (*privateWriter)(nil)
	_ io.ReaderFrom       = (*privateWriter)(nil)
)
