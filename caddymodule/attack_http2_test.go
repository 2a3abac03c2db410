// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames sends one request in HTTP/2 frames as they are: fields, body, trailers. It returns the status, or "" where the
// server refuses the stream or the connection.
func (x *wireTarget) frames(t *testing.T, fields [][2]string, body string, trailers [][2]string) string {
	t.Helper()
	server, _ := x.secure(t)
	dialer := &tls.Dialer{Config: &tls.Config{NextProtos: []string{"h2"}, InsecureSkipVerify: true}} //nolint:gosec // a server of this test
	conn, err := dialer.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	block := func(fields [][2]string) []byte {
		var b bytes.Buffer
		encoder := hpack.NewEncoder(&b)
		for _, field := range fields {
			if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
				t.Fatal(err)
			}
		}
		return b.Bytes()
	}
	ends := body == "" && trailers == nil
	for _, err := range []error{
		framer.WriteSettings(),
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(fields), EndHeaders: true, EndStream: ends}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !ends {
		if err := framer.WriteData(1, trailers == nil, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if trailers != nil {
		if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(trailers), EndHeaders: true, EndStream: true}); err != nil {
			t.Fatal(err)
		}
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return ""
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return ""
		}
	}
}

// HTTP/2 says in fields what HTTP/1.1 says in lines, and has ways of its own: no authority, a cookie in crumbs, a method that
// opens a tunnel, trailers that nobody announced. TM-001, TM-005, TM-027, TM-109, TM-112, TM-118.
func TestOddFramesReachNobody(t *testing.T) {
	x := attack(t, "", `:80 {
		verified_id
		reverse_proxy {app}
		handle_errors {
			verified_id_strip
			reverse_proxy {app}
		}
	}`)
	cookie := x.cookie(t)
	request := func(method, path, authority string, more ...[2]string) [][2]string {
		fields := [][2]string{{":method", method}, {":scheme", "https"}, {":path", path}}
		if authority != "" {
			fields = append(fields, [2]string{":authority", authority})
		}
		return append(fields, more...)
	}
	const host = "payroll.contoso.example"
	for name, fields := range map[string][][2]string{
		"anonymous":          request("GET", "/a", host),
		"tunnel":             {{":method", "CONNECT"}, {":authority", host}},
		"websocket tunnel":   request("CONNECT", "/a", host, [2]string{":protocol", "websocket"}),
		"odd method":         request("G T", "/a", host),
		"odd path":           request("GET", "a", host),
		"star":               request("GET", "*", host),
		"no path":            request("GET", "", host),
		"hop by hop":         request("GET", "/a", host, [2]string{"connection", "x-verified-id-subject"}),
		"upper case":         request("GET", "/a", host, [2]string{"Cookie", cookie}),
		"cookie twice":       request("GET", "/a", host, [2]string{"cookie", cookie}, [2]string{"cookie", cookie}),
		"cookie of trailers": request("POST", "/a", host),
		"dots":               request("GET", "/a", "..."),
	} {
		var trailers [][2]string
		if name == "cookie of trailers" {
			trailers = [][2]string{{"cookie", cookie}}
		}
		status := x.frames(t, fields, "", trailers)
		for _, r := range x.behind.take() {
			if r.header.Get("X-Verified-Id-Subject") != "" || (status == "200" && name != "dots") {
				t.Errorf("%s: %s; %s %s reached the app with %v", name, status, r.method, r.uri, r.header)
			}
		}
	}
	forged := [][2]string{{"x-verified-id-subject", "FORGED"}, {"x-verified-id-role", "FORGED"}}
	for name, c := range map[string]struct {
		fields [][2]string
		want   int
	}{
		"session":      {request("POST", "/a", host, append([][2]string{{"cookie", "a=1"}, {"cookie", cookie}, {"te", "trailers"}}, forged...)...), 1},
		"no authority": {request("POST", "/a", "", append([][2]string{{"cookie", cookie}}, forged...)...), 1}, // the error route's app
	} {
		x.frames(t, c.fields, "body", [][2]string{{"x-harmless", "FORGED"}, {"x-verified-id-role", "FORGED"}})
		seen := x.behind.take()
		if len(seen) != c.want {
			t.Errorf("%s: %d requests reached an app, want %d", name, len(seen), c.want)
		}
		for _, r := range seen {
			if text := fmt.Sprint(r.header, r.trailer); strings.Contains(text, "FORGED") || strings.Contains(text, "verified-id=") {
				t.Errorf("%s: %s reached an app", name, text)
			}
			if identity := r.header.Get("X-Verified-Id-Subject") != ""; identity != (name == "session") {
				t.Errorf("%s: an identity: %v", name, identity)
			}
		}
	}
}
