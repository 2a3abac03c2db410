// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// world is a site on several nodes, with everything around it.
type world struct {
	t        *testing.T
	recorder recorder
	triggers triggers
	keys     keyring
	// origin is where visitors find the site; port is its port, freePort that of a site of the same nodes that has no gate.
	origin, port, freePort string
	nodes                  []*node
	// shared says that any request may come to any node. Otherwise a visit stays with the node that it began on.
	shared   bool
	store    *sharedStore // nil: each node's memory
	emulator *emulator.Emulator
	folder   string // shared by the nodes
	appAt    string
	// partnerAt is the origin of who checks people and issues the cards.
	partnerAt string
	roots     *x509.CertPool
	people    people
}

// newWorld starts everything, with a store that all nodes share or with each node's memory. It ends with the test.
func newWorld(t *testing.T, nodes int, shared bool, seed uint64) *world {
	t.Helper()
	w := &world{
		t: t, port: strconv.Itoa(caddyprocess.FreePort(t)), freePort: strconv.Itoa(caddyprocess.FreePort(t)),
		folder: t.TempDir(), roots: x509.NewCertPool(), shared: shared,
		triggers: triggers{armed: make(map[int]chan<- Stage), kills: make(map[Stage]int)}, keys: keyring{keys: make(map[string]agreed)},
		people: people{living: make(map[string]*person)},
	}
	w.origin = "https://localhost:" + w.port
	w.recorder.logs = make([][]*caddyprocess.Log, nodes)
	for i := range nodes {
		w.nodes = append(w.nodes, &node{w: w, index: i, address: fmt.Sprintf("127.0.0.%d", i+1), home: t.TempDir()})
	}
	app := httptest.NewServer(http.HandlerFunc(w.app))
	t.Cleanup(app.Close)
	w.appAt = strings.TrimPrefix(app.URL, "http://")
	w.startMicrosoft()
	w.startPartner()
	if shared {
		w.startStore(seed)
	}
	var starting sync.WaitGroup // all at once: who comes first makes the keys
	for _, n := range w.nodes {
		starting.Go(n.start)
	}
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	w.recorder.history.SharedStore = w.shared
	return w
}

// startMicrosoft runs Request Service and token endpoint, with a wallet and a card for everybody who comes.
func (w *world) startMicrosoft() {
	w.t.Helper()
	service, tokens := w.listen(), w.listen()
	e, err := emulator.New(emulator.Config{
		PublicURL: "https://" + service.name, TokenURL: "https://" + tokens.name,
		HTTPClient: &http.Client{Transport: network{w, w.transport()}, Timeout: 10 * time.Second},
	})
	if err != nil {
		w.t.Fatalf("making the emulator: %v", err)
	}
	w.emulator = e
	w.t.Cleanup(func() { _ = e.Close() })
	if !w.roots.AppendCertsFromPEM(e.CA().PEM()) {
		w.t.Fatal("the emulator's authority has no certificate")
	}
	w.serve(service.Listener, w.service(e.ServiceHandler()))
	w.serve(tokens.Listener, e.TokenHandler())
	chain := w.tlsConfig().Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(chain.PrivateKey)
	if err != nil {
		w.t.Fatalf("writing a key: %v", err)
	}
	var certificates []byte
	for _, der := range chain.Certificate {
		certificates = append(certificates, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	w.file("site.pem", certificates)
	w.file("site.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	w.file("ca.pem", e.CA().PEM())
	w.file("secret", []byte(emulator.DemoClientSecret))
}

// transport makes connections by the routes of requests, one for each request.
func (w *world) transport() *http.Transport {
	return &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: w.roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(8)},
		DialContext:       w.dial,
		DisableKeepAlives: true,
	}
}

// caddyfile is a node's config with one of the policies.
func (w *world) caddyfile(n *node, policy string) string {
	bar := ""
	if policy == Strict {
		bar = fmt.Sprintf("face_check %d", StrictScore)
	}
	return fmt.Sprintf(`{
	default_bind %[1]s
	auto_https disable_redirects
	storage file_system %[2]s/storage
	servers {
		trusted_proxies static 127.0.0.0/8
	}
	verified_id {
		entra %[3]s {
			client_id %[4]s
			client_secret {file.%[2]s/secret}
			authority_host %[5]s
		}
		service %[6]s
		trusted_ca %[2]s/ca.pem
		authority %[7]s
		client_name "Payroll %[8]d"
		store %[17]s
		limits {
			starts_per_client 1000
			starts_per_second 1000
		}
		credential employee {
			type VerifiedEmployee
			issuer %[7]s
			face_check photo 80
			idv fabrikam
		}
		idv fabrikam {
			url %[18]s/contoso/?token={token}
			org_id contoso
		}
	}
}

%[9]s {
	tls %[2]s/site.pem %[2]s/site.key
	header %[10]s %[11]d
	header %[12]s %[13]s
	verified_id employee {
		header X-Name {claim.displayName}
		header X-Session {session_id}
		header X-Score {face_score}
		%[14]s
	}
	reverse_proxy %[15]s {
		header_up %[10]s %[11]d
		header_up %[12]s %[13]s
	}
}

http://localhost:%[16]s {
	respond "here"
}
`, n.address, filepath.ToSlash(w.folder), emulator.DemoTenant, emulator.DemoClientID, w.emulator.TokenURL(), w.emulator.PublicURL(),
		emulator.DemoAuthority, n.index+1, w.origin, nodeHeader, n.index, policyHeader, policy, bar, w.appAt, w.freePort, w.store.config(n.index), w.partnerAt)
}

// listener is a loopback port with the name that people use.
type listener struct {
	net.Listener
	name string
}

func (w *world) listen() listener {
	w.t.Helper()
	l, err := new(net.ListenConfig).Listen(w.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatalf("opening a port: %v", err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return listener{l, "localhost:" + port}
}

// serve answers on the listener, with a certificate of the world's authority, until the test ends.
func (w *world) serve(on net.Listener, handler http.Handler) {
	w.t.Helper()
	server := httptest.Server{Listener: on, TLS: w.tlsConfig(), Config: &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}}
	server.StartTLS()
	w.t.Cleanup(server.Close)
}

func (w *world) tlsConfig() *tls.Config {
	w.t.Helper()
	config, err := w.emulator.CA().TLSConfig()
	if err != nil {
		w.t.Fatalf("making a certificate: %v", err)
	}
	return config
}

func (w *world) file(name string, content []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.folder, name), content, 0o600); err != nil {
		w.t.Fatalf("writing a file: %v", err)
	}
}
