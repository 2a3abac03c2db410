// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bufio"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// answerWriter keeps the app from setting our cookies (TM-011), and its answer to one person out of shared caches (TM-105).
type answerWriter struct {
	caddyhttp.ResponseWriterWrapper
	private bool              // the answer is to somebody who was let in as themselves
	renew   func(http.Header) // sets our own cookie, after the app's attempts to are dropped; nil: nothing to set
	done    bool
	inner   []string // cookies that a gate further in has set: not the app's
	passage passage
}

// WriteHeader corrects the header of the final answer; informational ones pass.
func (p *answerWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		p.correct()
	} else {
		dropOwnCookies(p.Header(), p.inner)
	}
	if p.passage.over.Load() { // the answer to a long poll comes too late
		clear(p.Header())
		status = http.StatusUnauthorized
	}
	p.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements io.Writer.
func (p *answerWriter) Write(b []byte) (int, error) {
	p.correct()
	if p.passage.over.Load() {
		return 0, errSessionOver
	}
	return p.ResponseWriterWrapper.Write(b)
}

// readFromChunk is how much may be sent before the passage is looked at again.
const readFromChunk = 1 << 20

// ReadFrom implements io.ReaderFrom, so that sendfile still works, which knows files and files within one limit.
func (p *answerWriter) ReadFrom(r io.Reader) (total int64, err error) {
	p.correct()
	limit := int64(math.MaxInt64)
	if limited, ok := r.(*io.LimitedReader); ok {
		r, limit = limited.R, limited.N
		defer func() { limited.N -= total }()
	}
	for total < limit {
		if p.passage.over.Load() {
			return total, errSessionOver
		}
		chunk := min(readFromChunk, limit-total)
		n, err := p.ResponseWriterWrapper.ReadFrom(&io.LimitedReader{R: r, N: chunk})
		total += n
		if err != nil || n < chunk {
			return total, err
		}
	}
	return total, nil
}

// Hijack implements http.Hijacker, for handlers that go on in another protocol.
func (p *answerWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(p.ResponseWriter).Hijack()
	if err == nil {
		p.passage.upgraded(conn)
	}
	return conn, buffered, err
}

// FlushError is what http.ResponseController calls; a flush may be the first thing an app does.
func (p *answerWriter) FlushError() error {
	p.correct()
	if p.passage.over.Load() {
		return errSessionOver
	}
	return http.NewResponseController(p.ResponseWriter).Flush()
}

func (p *answerWriter) correct() {
	if p.done {
		return
	}
	p.done = true
	header := p.Header()
	if p.private {
		makePrivate(header)
	}
	dropOwnCookies(header, p.inner)
	if p.renew != nil {
		p.renew(header)
		vouch(p.ResponseWriter)
	}
}

// vouch tells the gates further out that the cookies of ours that are in the header now are a gate's.
func vouch(w http.ResponseWriter) {
	for {
		if outer, ok := w.(*answerWriter); ok {
			outer.inner = slices.Clone(w.Header()["Set-Cookie"])
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return
		}
		w = wrapper.Unwrap()
	}
}

// cacheHeaders are those that caches in front of us obey before Cache-Control.
var cacheHeaders = []string{"Cdn-Cache-Control", "Cloudflare-Cdn-Cache-Control", "Surrogate-Control", "X-Accel-Expires"}

func makePrivate(header http.Header) {
	header.Add("Vary", "Cookie")
	for _, name := range cacheHeaders {
		header.Del(name)
	}
	control := header.Values("Cache-Control")
	if len(control) == 0 {
		header.Set("Cache-Control", "private")
	} else if weakened, changed := withoutShared(strings.Join(control, ", ")); changed {
		header.Set("Cache-Control", weakened)
	}
}

// withoutShared takes away what lets a shared cache keep an answer.
func withoutShared(control string) (string, bool) {
	var kept []string
	changed, private := false, false
	for directive := range strings.SplitSeq(control, ",") {
		directive = strings.TrimSpace(directive)
		name, _, qualified := strings.Cut(strings.ToLower(directive), "=")
		switch name {
		case "public", "s-maxage":
			changed = true
			continue
		case "private", "no-store":
			private = private || !qualified // private="x" makes only the header x private
		}
		kept = append(kept, directive)
	}
	if !private {
		kept, changed = append(kept, "private"), true
	}
	return strings.Join(kept, ", "), changed
}

// dropOwnCookies removes Set-Cookie lines that carry one of our names, also as the value of a cookie without a name, which
// browsers send back as if it were one. Those that a gate further in has set stay.
func dropOwnCookies(header http.Header, inner []string) {
	lines := header["Set-Cookie"]
	ours := func(line string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(line, " \t="), "=")
		return ownCookie(strings.TrimSpace(name)) && !slices.Contains(inner, line)
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
	_ http.ResponseWriter = (*answerWriter)(nil)
	_ io.ReaderFrom       = (*answerWriter)(nil)
	_ http.Hijacker       = (*answerWriter)(nil)
)
