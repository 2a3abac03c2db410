// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// ringApp loads an app whose sealing keys stand in the named variables of the environment, the first seals.
func ringGate(t *testing.T, names ...string) *Gate {
	t.Helper()
	option := "sealing_key"
	for _, name := range names {
		option += " {env." + name + "}"
	}
	_, ctx := loadApp(t, testApp(option))
	return loadGate(t, ctx, "verified_id")
}

// A key may have leaked, or is simply old. The operator puts a new one in front, later takes the old one away. Nobody is
// logged out by the first step, on no node of any stage, and everybody who is still on the old key by the last, also a
// thief. TM-151, TM-024.
func TestSealingKeyRotationUnderTheGate(t *testing.T) {
	for _, name := range []string{"KEY_OLD", "KEY_NEW"} {
		t.Setenv(name, base64.StdEncoding.EncodeToString(randomBytes(32)))
	}
	stages := map[string]*Gate{
		"before": ringGate(t, "KEY_OLD"), "known to all": ringGate(t, "KEY_OLD", "KEY_NEW"),
		"first": ringGate(t, "KEY_NEW", "KEY_OLD"), "alone": ringGate(t, "KEY_NEW"),
	}
	for from, sealing := range stages {
		_, cookie := sessionOf(sealing, presentation(sealing))
		start, _ := newBrowser(t, sealing).open(basePath + "/start")
		token := tokenIn(t, start.Body.String())
		byOld := from == "before" || from == "known to all"
		for at, g := range stages {
			want := (!byOld || at != "alone") && (byOld || at != "before")
			w, u := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie, "Accept", "text/html")))
			if opened := u.hits == 1; opened != want {
				t.Errorf("sealed %q, opened %q: %v, want %v", from, at, opened, want)
			}
			if cleared := strings.HasPrefix(w.Header().Get("Set-Cookie"), g.site.session.Name+"=;"); cleared == want {
				t.Errorf("sealed %q, shown %q: cookie cleared %v", from, at, cleared)
			}
			if _, ok := g.site.openVisit(token, testNow); ok != want {
				t.Errorf("page of %q, sent to %q: %v, want %v", from, at, ok, want)
			}
		}
	}
}

// While the keys turn, a cookie that is seen moves on to the new one by itself, so that the old one can go after one session
// lifetime at the latest. TM-151.
func TestSeenCookieMovesToTheNewKey(t *testing.T) {
	for _, name := range []string{"KEY_OLD", "KEY_NEW"} {
		t.Setenv(name, base64.StdEncoding.EncodeToString(randomBytes(32)))
	}
	before, turning, after := ringGate(t, "KEY_OLD"), ringGate(t, "KEY_NEW", "KEY_OLD"), ringGate(t, "KEY_NEW")
	_, cookie := sessionOf(before, presentation(before))
	setNow(testNow.Add(20 * time.Minute))
	w, u := serve(t, turning, request("GET", testOrigin+"/", withCookie(cookie)))
	if u.hits != 1 {
		t.Fatal("the session ended")
	}
	for _, line := range w.Result().Cookies() {
		cookie = line.Name + "=" + line.Value
	}
	if _, u := serve(t, after, request("GET", testOrigin+"/", withCookie(cookie))); u.hits != 1 {
		t.Error("the cookie is still sealed by the old key")
	}
}

// Who begins with the key that the gate made by itself, and later wants one of his own, carries the stored one over as the
// second of the ring, as docs/security.md says, and logs nobody out. TM-151.
func TestStoredKeyIsCarriedOver(t *testing.T) {
	setSecret(t)
	m := newMachine(t)
	sealed := ""
	if err := m.load(t, adaptText(t, caddyfileOf("", sitePart)), func(ctx caddy.Context) {
		sealed = appOf(t, ctx).keys.sessions.Seal([]byte("session"), "site")
	}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(m.storage, filepath.FromSlash(storedKeysPath)))
	if err != nil {
		t.Fatal(err)
	}
	var stored struct {
		Sealing []string `json:"sealing"`
	}
	if err := json.Unmarshal(content, &stored); err != nil || len(stored.Sealing) != 1 {
		t.Fatalf("stored keys %d (%v)", len(stored.Sealing), err)
	}
	t.Setenv("KEY_OLD", stored.Sealing[0])
	t.Setenv("KEY_NEW", base64.StdEncoding.EncodeToString(randomBytes(32)))
	for options, want := range map[string]bool{"sealing_key {env.KEY_NEW} {env.KEY_OLD}": true, "sealing_key {env.KEY_NEW}": false} {
		if err := m.load(t, adaptText(t, caddyfileOf(options, sitePart)), func(ctx caddy.Context) {
			if plain, err := appOf(t, ctx).keys.sessions.Open(sealed, "site"); (err == nil) != want || want && string(plain) != "session" {
				t.Errorf("%s: opens %q (%v), want %v", options, plain, err, want)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// The key that signs our links to partners is replaced: published behind the old one first, then in front, then alone. At
// each step a partner finds the key of each link that it may still be handed. TM-151, TM-093.
func TestKickstartKeyRotationUnderTheGate(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	older, err := idvredirect.GenerateSigningKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	oldPEM, err := older.PEM()
	if err != nil {
		t.Fatal(err)
	}
	fresh, ancient := write("new.pem", signingKeyPEM(t)), write("old.pem", oldPEM)
	gate := func(order ...string) *Gate {
		text := strings.Replace(testApp("kickstart_key "+strings.Join(order, " ")+"\nidv vu {\n url https://vu.example/start\n org_id contoso\n}"),
			"face_check photo 80", "face_check photo 80\n idv vu", 1)
		app, ctx := loadApp(t, text)
		app.now = time.Now // the keys of a config count from its load
		return loadGate(t, ctx, "verified_id")
	}
	link := func(g *Gate) string {
		b := newBrowser(t, g)
		start, _ := b.open(basePath + "/start")
		w := b.post(basePath+"/idv", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}, "partner": {"vu"}})
		at, err := url.Parse(onward(w))
		if err != nil || w.Code != http.StatusOK {
			t.Fatalf("idv: status %d (%v)", w.Code, err)
		}
		return at.Query().Get("token")
	}
	verifies := func(g *Gate, token string) bool {
		set, _ := newBrowser(t, g).send("GET", basePath+"/jwks.json", nil, nil)
		keys, err := idvredirect.ParseJWKS(set.Body.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		_, err = idvredirect.Verify(t.Context(), token, idvredirect.VerifyConfig{
			Keys: keys, OrgIDs: []string{"contoso"}, Audience: "https://vu.example", Issuer: testOrigin, RedirectURLs: []string{testOrigin + basePath + "/return"},
			OneTime: idvredirect.NewMemoryOneTimeStore(10, time.Now), Now: time.Now,
		})
		return err == nil
	}
	stages := []*Gate{gate(ancient), gate(ancient, fresh), gate(fresh, ancient), gate(fresh)}
	for i, signing := range stages {
		token := link(signing)
		for _, at := range []int{i - 1, i, i + 1} {
			if at < 0 || at >= len(stages) {
				continue
			}
			if !verifies(stages[at], token) {
				t.Errorf("a link of stage %d is refused by who knows the keys of stage %d", i, at)
			}
		}
	}
	if verifies(stages[3], link(stages[0])) {
		t.Error("a key that was taken away still counts")
	}
}

// The callback key is made for each transaction and kept as a hash, so there is nothing to rotate, and nothing in the store
// that makes a result. TM-151, TM-054, TM-132.
func TestCallbackKeyIsFreshAndNotKept(t *testing.T) {
	app, g, s := journeyGate(t, "limits {\n starts_per_client 1000\n starts_per_second 1000\n}", mailGate)
	seen := map[string]bool{}
	for i := range 50 {
		b := newBrowser(t, g)
		b.client = fmt.Sprintf("198.51.100.%d", i)
		id := b.begin("/")
		_, state, key := s.last(t)
		_, secret, _ := strings.Cut(key, ".")
		if decoded, err := base64.RawURLEncoding.DecodeString(secret); err != nil || len(decoded) != 32 || seen[secret] {
			t.Fatalf("secret %q: %d bytes (%v), seen before: %v; want 32 fresh ones", secret, len(decoded), err, seen[secret])
		}
		seen[secret] = true
		transaction, err := app.store.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := json.Marshal(transaction)
		if err != nil || strings.Contains(string(kept), secret) || strings.Contains(string(kept), b.cookies[g.site.binding.Name]) {
			t.Fatalf("the store holds the secret of the callback or of the browser (%v)", err)
		}
		// Independent of each other, and each of at least 128 bits. TM-050.
		binding := b.cookies[g.site.binding.Name]
		for name, value := range map[string]string{"id": transaction.ID, "state": state, "binding": binding} {
			if decoded, err := base64.RawURLEncoding.DecodeString(value); err != nil || len(decoded) < 16 || seen[value] {
				t.Fatalf("%s %q: %d bytes (%v), seen before: %v", name, value, len(decoded), err, seen[value])
			}
			seen[value] = true
		}
	}
}

// Without keys in the config they are made once and kept, so that neither a reload nor a second node nor a restart makes
// others; and the file is nobody else's. TM-025, TM-147.
func TestOwnKeysAreMadeOnce(t *testing.T) {
	setSecret(t)
	m := newMachine(t)
	var first []byte
	for i := range 3 {
		if err := m.load(t, adaptText(t, caddyfileOf("", sitePart)), func(caddy.Context) {
			content, err := os.ReadFile(filepath.Join(m.storage, filepath.FromSlash(storedKeysPath)))
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = content
			}
			if string(content) != string(first) {
				t.Errorf("load %d made other keys", i+1)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(m.storage, filepath.FromSlash(storedKeysPath)))
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the file of the keys: %v, %v", info.Mode(), err)
	}
}
