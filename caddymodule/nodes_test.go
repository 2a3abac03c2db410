// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// nodeOptions are those of a site that uses all kinds of keys.
const nodeOptions = "idv vu {\n url https://vu.example/start\n org_id contoso\n}\n"

// nodeApp is the config of such a site.
func nodeApp(options string) string {
	return strings.Replace(testApp(nodeOptions+options), "face_check photo 80", "face_check photo 80\n idv vu", 1)
}

// separateNode is a node with a storage of its own.
func separateNode(t *testing.T, options string) *Gate {
	t.Helper()
	app, ctx := loadApp(t, nodeApp(options))
	app.now = time.Now // the keys of a config count from its load
	return loadGate(t, ctx, "verified_id {\n assertion\n}")
}

// configuredKeys are the four keys of docs/scaling.md, the same for all nodes.
func configuredKeys(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"NODES_SEAL", "NODES_SUBJECT"} {
		t.Setenv(name, base64.StdEncoding.EncodeToString(randomBytes(32)))
	}
	return "sealing_key {env.NODES_SEAL}\nsubject_key {env.NODES_SUBJECT}\nkickstart_key " + writeFile(t, "kickstart.pem", string(signingKeyPEM(t))) +
		"\nassertion_key " + writeFile(t, "assertion.pem", string(ellipticKeyPEM(t)))
}

// actAsOne says what of one node's does not hold at another; nothing if they act as one for visitors, partners and apps.
func actAsOne(t *testing.T, one, other *Gate) (broken []string) {
	t.Helper()
	check := func(what string, holds bool) {
		if !holds {
			broken = append(broken, what)
		}
	}
	held, _ := sessionOf(one, presentation(one))
	held.ID = randomText(16) // tests that share a store have ended the one of all the others
	now := time.Now()
	held.Created, held.Seen, held.Expires = now, now, now.Add(time.Hour)
	held.Presentations[0].VerifiedAt, held.Presentations[0].CredentialExpires = now, now.Add(time.Hour)
	cookie := one.site.session.Name + "=" + one.site.seal(held)
	_, u := serve(t, other, request("GET", testOrigin+"/", withCookie(cookie)))
	check("session", u.hits == 1)

	setNow(now) // when an app checks
	_, err := checkAssertion(assertedTo(t, one, cookie), assertionKeysIn(t, publishedBy(t, other)))
	check("assertion", err == nil)

	here := newBrowser(t, one)
	start, _ := here.open("/payroll?year=2026")
	start, _ = here.open(start.Header().Get("Location"))
	token := tokenIn(t, start.Body.String())
	_, ok := other.site.openVisit(token, now)
	check("page", ok)
	sent := here.post(basePath+"/idv", url.Values{"token": {token}, "credential": {"employee"}, "partner": {"vu"}})
	link, err := url.Parse(onward(sent))
	if err != nil || sent.Code != http.StatusOK || link.Host != "vu.example" {
		t.Fatalf("idv: status %d (%v)", sent.Code, err)
	}
	keys, err := idvredirect.ParseJWKS(publishedBy(t, other))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := idvredirect.Verify(t.Context(), link.Query().Get("token"), idvredirect.VerifyConfig{
		Keys: keys, OrgIDs: []string{"contoso"}, Audience: "https://vu.example", Issuer: testOrigin, RedirectURLs: []string{testOrigin + basePath + "/return"},
		OneTime: idvredirect.NewMemoryOneTimeStore(10, time.Now), Now: time.Now,
	})
	check("link", err == nil)

	there := newBrowser(t, other)
	there.cookies = here.cookies
	back, _ := there.open(basePath + "/return?RequestId=" + claims.RequestID)
	arrived, ok := other.site.openVisit(tokenIn(t, back.Body.String()), time.Now())
	check("return", ok && arrived.ReturnTo == "/payroll?year=2026")

	check("subject", one.app.keys.subjectOf("did:ion:ana") == other.app.keys.subjectOf("did:ion:ana"))
	check("names in a store", string(one.app.keys.storeNames()) == string(other.app.keys.storeNames()))
	return broken
}

// Two nodes that share no storage, with the same keys in the config as docs/scaling.md says: what begins on one continues on
// the other. Neither keeps a key of its own, and a node without these keys is another installation in everything. TM-151.
func TestNodesWithoutSharedStorageActAsOne(t *testing.T) {
	options := configuredKeys(t)
	one, two := separateNode(t, options), separateNode(t, options)
	for _, pair := range [][2]*Gate{{one, two}, {two, one}} {
		if broken := actAsOne(t, pair[0], pair[1]); broken != nil {
			t.Errorf("does not hold at the other node: %q", broken)
		}
	}
	for _, g := range []*Gate{one, two} {
		for _, path := range []string{storedKeysPath, storedKickstartPath, storedAssertionPath} {
			if g.app.ctx.Storage().Exists(t.Context(), path) {
				t.Errorf("the node keeps %s", path)
			}
		}
	}
	stranger := separateNode(t, "")
	if broken := actAsOne(t, one, stranger); len(broken) != 7 {
		t.Errorf("only %q does not hold at a node with other keys", broken)
	}
	for option, want := range map[string]string{"sealing_key": "subject", "subject_key": "session"} {
		_, line, _ := strings.Cut(options, option)
		line, _, _ = strings.Cut(line, "\n")
		half := separateNode(t, option+line)
		if broken := actAsOne(t, one, half); !strings.Contains(strings.Join(broken, " "), want) {
			t.Errorf("with %s alone, only %q does not hold", option, broken)
		}
	}
}

// Two nodes with one storage and nothing configured start at the same moment. They act as one then, and after the keys have
// turned. A site under the same cookie domain that only the second node has knows the session, too. TM-151, TM-025.
func TestNodesWithSharedStorageActAsOne(t *testing.T) {
	setSecret(t)
	root := storageDir(t)
	var nodes [2]*Gate
	var wait sync.WaitGroup
	for i := range nodes {
		wait.Go(func() { nodes[i] = sharedNode(t, root, "") })
	}
	wait.Wait()
	if t.Failed() {
		return
	}
	check := func(when string) {
		t.Helper()
		for _, pair := range [][2]*Gate{{nodes[0], nodes[1]}, {nodes[1], nodes[0]}} {
			if broken := actAsOne(t, pair[0], pair[1]); broken != nil {
				t.Errorf("%s: does not hold at the other node: %q", when, broken)
			}
		}
	}
	check("at first")
	before := nodes[0].app.keys.followed.known
	for _, at := range []time.Duration{sealingRotation, sealingRotation + announceSealing} {
		for _, g := range nodes {
			g.app.keys.followed.step(t.Context(), time.Now().Add(at))
		}
		check(at.String())
	}
	if after := nodes[1].app.keys.followed.known; sealingID(after, time.Now()) == sealingID(before, time.Now()) {
		t.Error("the keys have not turned")
	}

	const domain = "session {\n cookie_domain contoso.example\n}"
	first, second := sharedNode(t, root, domain), sharedNode(t, root, domain)
	from, err := parseOrigin("https://hr.contoso.example", false)
	if err != nil {
		t.Fatal(err)
	}
	second.site = second.app.siteOf(from)
	held, _ := sessionOf(first, presentation(first))
	held.ID = randomText(16)
	held.Created, held.Seen, held.Expires = time.Now(), time.Now(), time.Now().Add(time.Hour)
	held.Presentations[0].VerifiedAt, held.Presentations[0].CredentialExpires = time.Now(), time.Now().Add(time.Hour)
	cookie := first.site.session.Name + "=" + first.site.seal(held)
	if _, u := serve(t, second, request("GET", "https://hr.contoso.example/", withCookie(cookie))); u.hits != 1 {
		t.Error("the sibling site on the other node does not know the session")
	}
}

var provisioning sync.Mutex

// sharedNode is a node with the storage at root.
func sharedNode(t *testing.T, root, options string) *Gate {
	t.Helper()
	app := new(App)
	if err := app.UnmarshalCaddyfile(caddyfile.NewTestDispenser(nodeApp(options))); err != nil {
		t.Error(err)
		return nil
	}
	storage := mustJSON(map[string]string{"module": "file_system", "root": root})
	cfg := &caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}, StorageRaw: storage}
	provisioning.Lock() // Caddy takes the storage for that of the whole process, which two nodes are not
	ctx, err := caddy.ProvisionContext(cfg)
	provisioning.Unlock()
	if err != nil {
		t.Error(err)
		return nil
	}
	cfg.AppsRaw = caddy.ModuleMap{"verified_id": mustJSON(app)}
	ctx, cancel := caddy.NewContext(ctx)
	t.Cleanup(cancel)
	loaded, err := ctx.App("verified_id")
	if err != nil {
		t.Error(err)
		return nil
	}
	app, ok := loaded.(*App)
	if !ok {
		t.Errorf("the app is a %T", loaded)
		return nil
	}
	app.limiter = newLimiter(app.Limits) // others' tests use the pooled one
	return loadGate(t, ctx, "verified_id {\n assertion\n}")
}
