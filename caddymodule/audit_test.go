// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// auditTables reads docs/audit.md: each event with its fields, and the fields that are explained.
func auditTables(t *testing.T) (events map[string][]string, fields []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile("`([a-z_]+)`")
	events = map[string][]string{}
	table := ""
	for line := range strings.SplitSeq(string(text), "\n") {
		cells := strings.Split(line, " | ")
		switch {
		case strings.HasPrefix(line, "## "):
			table = line
		case !strings.HasPrefix(line, "| `") || len(cells) != 3:
		case table == "## Events":
			name := word.FindStringSubmatch(cells[0])[1]
			events[name] = []string{}
			for _, found := range word.FindAllStringSubmatch(cells[2], -1) {
				events[name] = append(events[name], found[1])
			}
			slices.Sort(events[name])
		case table == "## Fields":
			fields = append(fields, word.FindStringSubmatch(cells[0])[1])
		}
	}
	return events, fields
}

// Who reads the audit log by a program, or has to say what personal data is in it, goes by the table. It has every event and
// field of the code, and no others.
func TestAuditIsDocumented(t *testing.T) {
	events, fields := auditTables(t)
	if !maps.EqualFunc(events, eventFields, slices.Equal) {
		t.Errorf("docs/audit.md has the events\n%v\nwant\n%v", events, eventFields)
	}
	want := map[string]bool{}
	for _, list := range append(slices.Collect(maps.Values(eventFields)), visitFields) {
		for _, field := range list {
			want[field] = true
		}
	}
	slices.Sort(fields)
	if names := slices.Sorted(maps.Keys(want)); !slices.Equal(fields, names) {
		t.Errorf("docs/audit.md explains\n%v\nwant\n%v", fields, names)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, source := range sources {
		if content, err := os.ReadFile(source); err == nil && source != "events.go" && !strings.HasSuffix(source, "_test.go") {
			code.Write(content)
		}
	}
	if events, err := os.ReadFile("events.go"); err == nil {
		_, after, _ := strings.Cut(string(events), "var eventFields")
		_, after, _ = strings.Cut(after, "\n}\n")
		code.WriteString(after)
	}
	for field := range want {
		if !strings.Contains(code.String(), `"`+field+`"`) {
			t.Errorf("nothing sets the field %q", field)
		}
	}
}

// A field that nobody has described may hold what nobody may read. It is not told.
func TestUndescribedFieldIsNotTold(t *testing.T) {
	app, g, _ := journeyGate(t, "", mailGate)
	heard, logged := listen(t, app), watchLog(g)
	app.event(eventSessionEnded, map[string]any{"session_id": "a-session", "mail": "ana@contoso.example"})
	if got := heard.next(t, eventSessionEnded); len(got) != 1 || got["session_id"] != "a-session" {
		t.Errorf("the event is %v", got)
	}
	if strings.Contains(logged.text(), "ana@") {
		t.Errorf("the log says %s", logged.text())
	}
}

// Everything that is told on one visit is told by the audit logger, at the site it happened at, with why a session has ended.
func TestAuditOfVisit(t *testing.T) {
	_, g, s := journeyGate(t, "", "verified_id {\n max_age 5m\n}")
	logged := watchLog(g)
	b := newBrowser(t, g)
	for _, reason := range []string{"replaced", "logout"} {
		id := b.begin("/")
		requestID, state, key := s.last(t)
		callback(t, g, key, `{"requestId":"`+requestID+`","requestStatus":"request_retrieved","state":"`+state+`"}`)
		callback(t, g, key, verified(requestID, state))
		b.finish(id)
		if reason == "replaced" {
			setNow(testNow.Add(6 * time.Minute))
			continue
		}
		page, _ := b.open(basePath + "/logout")
		b.post(basePath+"/logout", url.Values{"token": {tokenIn(t, page.Body.String())}})
	}
	var ended []any
	told := map[string]int{}
	for _, entry := range logged.All() {
		known, ok := eventFields[entry.Message]
		if !ok {
			continue
		}
		told[entry.Message]++
		if entry.LoggerName != auditLog {
			t.Errorf("%s is told by %q", entry.Message, entry.LoggerName)
		}
		got := entry.ContextMap()
		if got["site"] != testOrigin || got["client_ip"] == "" {
			t.Errorf("%s says %v", entry.Message, got)
		}
		if entry.Message == eventSessionEnded {
			ended = append(ended, got["reason"])
		}
		if missing := len(known) + len(visitFields) - len(got); missing != 0 {
			t.Errorf("%s lacks %d of its fields: %v", entry.Message, missing, got)
		}
	}
	if !slices.Equal(ended, []any{"replaced", "logout"}) {
		t.Errorf("the sessions ended by %v", ended)
	}
	for _, name := range []string{eventRequested, eventRetrieved, eventVerified, eventSessionStarted, eventSessionEnded} {
		if told[name] != 2 {
			t.Errorf("%s is told %d times, want 2", name, told[name])
		}
	}
}

// The service says everything three times, before and after the visitor took the result. The audit log, the outcomes in the metrics
// and what a client and a holder may spend have it once.
func TestRepeatedResultIsToldOnce(t *testing.T) {
	for name, c := range map[string]struct {
		body    func(request, state string) string
		event   string
		outcome string
	}{
		"verified": {func(request, state string) string { return verified(request, state) }, eventVerified, "verified"},
		"refused":  {func(request, state string) string { return verified(request, state, `"VALID"`, `"REVOKED"`) }, eventRefused, "revoked"},
		"failed": {func(request, state string) string {
			return `{"requestId":"` + request + `","requestStatus":"presentation_error","state":"` + state + `","error":{"code":"tokenError","message":"x"}}`
		}, eventRefused, "revoked_by_service"},
	} {
		t.Run(name, func(t *testing.T) {
			app, g, s := journeyGate(t, "", mailGate)
			logged := watchLog(g)
			b := newBrowser(t, g)
			id := b.begin("/")
			request, state, key := s.last(t)
			for range 3 {
				callback(t, g, key, c.body(request, state))
			}
			if name == "verified" {
				b.finish(id)
				callback(t, g, key, c.body(request, state))
			}
			told := 0
			for _, entry := range logged.All() {
				if entry.Message == eventVerified || entry.Message == eventRefused {
					told++
					if entry.Message != c.event {
						t.Errorf("the audit log has %s: %v", entry.Message, entry.ContextMap())
					}
				}
			}
			if told != 1 {
				t.Errorf("the audit log has the outcome %d times", told)
			}
			if got := counted(t, app, "caddy_verified_id_presentations_total", c.outcome); got != 1 {
				t.Errorf("the metrics have the outcome %g times", got)
			}
		})
	}
}

// The block in docs/audit.md does what it says: the audit log has a file of its own, which others on the machine cannot read, and
// the default log has nothing of it.
func TestAuditHasItsOwnFile(t *testing.T) {
	text, err := os.ReadFile("../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```caddyfile\n")
	block, _, ok := strings.Cut(block, "```")
	if !ok || string(caddyfile.Format([]byte(block))) != block {
		t.Fatalf("the block is not formatted:\n%s", block)
	}
	dir := t.TempDir()
	audit, main := filepath.Join(dir, "audit.log"), filepath.Join(dir, "default.log")
	block = strings.Replace(block, "/var/log/caddy/verified-id-audit.log", audit, 1)
	block = strings.Replace(block, "log default {", "log default {\n output file "+main, 1)
	block = strings.Replace(block, "{\n", "{\n"+testApp("")+"\n", 1)
	t.Setenv("VERIFIED_ID_TEST_SECRET", "a secret for tests only")
	config, _, err := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}.Adapt([]byte(block), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatalf("adapting: %v\n%s", err, block)
	}
	cfg := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(config, cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Admin = &caddy.AdminConfig{Disabled: true}
	cfg.StorageRaw = wireJSON(map[string]string{"module": "file_system", "root": filepath.Join(dir, "storage")})
	ctx, err := caddy.ProvisionContext(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cancelling, cancel := caddy.NewContext(ctx)
	defer cancel()
	loaded, err := cancelling.App("verified_id")
	if err != nil {
		t.Fatal(err)
	}
	app, ok := loaded.(*App)
	if !ok {
		t.Fatalf("the app is a %T", loaded)
	}
	app.event(eventSessionEnded, map[string]any{"session_id": "a-session"})
	app.logger.Info("something else")
	for file, want := range map[string]string{audit: `"session_ended"`, main: `"something else"`} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range []string{`"session_ended"`, `"something else"`} {
			if got := strings.Contains(string(content), message); got != (message == want) {
				t.Errorf("%s has %s: %v\n%s", filepath.Base(file), message, got, content)
			}
		}
	}
	if state, err := os.Stat(audit); err != nil || state.Mode().Perm() != 0o600 {
		t.Errorf("the audit log's mode is %v (%v)", state.Mode(), err)
	}
}
