// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// events is an open status stream.
type events struct {
	c     *connection
	lines *bufio.Reader
	retry time.Duration // how long to stay away once the stream has ended
}

// streamPatience is how long a stream may be silent. The promise is a sign of life every 20 seconds.
const streamPatience = 30 * time.Second

// listen opens the status stream of the visitor's transaction on a connection of its own.
func (v *visitor) listen(ctx context.Context) (*events, error) { return v.listenTo(ctx, v.transaction) }

func (v *visitor) listenTo(ctx context.Context, transaction string) (*events, error) {
	c, err := v.wire.dial(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		_ = c.Close()
		return nil, err
	}
	asked := v.bytes(http.MethodGet, "/.verified-id/events?t="+url.QueryEscape(transaction), "", "text/event-stream")
	if _, err := c.Write(asked); err != nil {
		_ = c.Close()
		return nil, err
	}
	response, err := http.ReadResponse(c.reader, getRequest)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		_ = c.Close()
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	return &events{c: c, lines: bufio.NewReaderSize(response.Body, 256), retry: 3 * time.Second}, nil
}

// next returns the next state, or "" for a sign of life.
func (e *events) next() (state string, err error) {
	if err := e.c.SetReadDeadline(time.Now().Add(streamPatience)); err != nil {
		return "", err
	}
	for {
		line, err := e.lines.ReadString('\n')
		if err != nil {
			return "", err
		}
		if state, ok := strings.CutPrefix(strings.TrimSpace(line), "data: "); ok {
			return state, nil
		}
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "retry: "); ok {
			if milliseconds, err := strconv.Atoi(text); err == nil {
				e.retry = time.Duration(milliseconds) * time.Millisecond
			}
		}
		if strings.HasPrefix(line, ":") {
			return "", nil
		}
	}
}

// await reads until the state comes.
func (e *events) await(wanted string) string {
	for {
		state, err := e.next()
		switch {
		case err != nil:
			return "events: " + failure(err)
		case state == wanted:
			return good
		case state != "" && state != "created" && state != "retrieved":
			return "events: " + state
		}
	}
}

func (e *events) close() { _ = e.c.Close() }
