// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
)

// What a visitor looks for in the emulator's wallet and in the demo's app.
const (
	walletRequest = `.request a.button`
	walletShare   = `#share button[type="submit"]:not([formaction])`
	walletAdd     = `form[action$="/accept"] button:not([formaction])`
	walletCard    = `a.card`
	walletRemove  = `form[action$="/remove"] button`
	walletTricks  = `details.tricks summary`
	walletLow     = `button[value="low-score"]`
	demoName      = `#name`
)

// demo is the demo of the README, with its addresses.
type demo struct {
	start, payroll, wallet string
}

// startDemo runs examples/demo.
func startDemo(t *testing.T) demo {
	t.Helper()
	origin := startExample(t, "demo")
	return demo{start: origin["8079"], payroll: origin["8080"], wallet: origin["8090"] + "/wallet"}
}

// startExample runs the Caddyfile of an example with the emulator, in a copy in which only the ports are others: somebody may
// have it open while the tests run. It returns the origins by the ports that the example names.
func startExample(t *testing.T, name string) (origin map[string]string) {
	t.Helper()
	folder := t.TempDir()
	origin = make(map[string]string)
	var renumber []string
	for _, port := range []string{"8079", "8080", "8081", "8082", "8090", "8091", "8092"} {
		address := fmt.Sprintf("localhost:%d", caddyprocess.FreePort(t))
		origin[port] = "http://" + address
		renumber = append(renumber, "localhost:"+port, address)
	}
	// The emulator has the usual ports as its defaults.
	renumber = append(renumber,
		"verified_id_emulator {", fmt.Sprintf("verified_id_emulator {\n\t\tpublic_url %s\n\t\ttoken_url %s",
			origin["8090"], strings.Replace(origin["8091"], "http:", "https:", 1)),
		"partner {", "partner {\n\t\t\tpublic_url "+origin["8092"],
		"{$DEMO_FOLDER:examples/"+name+"}", filepath.ToSlash(folder),
	)
	copyFolder(t, filepath.Join("..", "examples", name), folder, strings.NewReplacer(renumber...))

	caddyfile, err := os.ReadFile(filepath.Join(folder, "Caddyfile"))
	if err != nil {
		t.Fatalf("reading the example: %v", err)
	}
	caddyprocess.Start(t, t.TempDir(), string(caddyfile))
	return origin
}

// copyFolder copies the files below a folder and replaces words in them.
func copyFolder(t *testing.T, from, to string, words *strings.Replacer) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, relative), 0o700)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, relative), []byte(words.Replace(string(content))), 0o600) //nolint:gosec // the test's own folder
	})
	if err != nil {
		t.Fatalf("copying the example: %v", err)
	}
}

// The demo keeps what its first page says: the payroll in one window, the wallet in another, and in.
func TestDemoLeadsIn(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	payroll := newVisitor(t)
	wallet := payroll.newTab()

	payroll.open(d.start)
	wallet.open(payroll.attribute("#wallet", "href"))
	payroll.open(payroll.attribute("#payroll", "href"))
	payroll.click(haveCard)
	payroll.see(code)
	wallet.click(walletRequest)
	wallet.click(walletShare)
	if got := payroll.read(demoName); got != "Ana Lima" {
		t.Errorf("the payroll greets %q", got)
	}

	// The bank account asks for a face of 90; the demo's wallet shows one.
	payroll.open(d.payroll + "/bank")
	payroll.see(demoName)
}

// As the first page proposes: take the card out of the wallet, be sent to the partner, come back with a new one, and in.
func TestDemoLeadsInByThePartner(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	payroll := newVisitor(t)
	wallet := payroll.newTab()
	wallet.open(d.wallet)
	wallet.click(walletCard)
	wallet.click(walletRemove)

	payroll.open(d.payroll + "/bank")
	payroll.click(needCard)
	payroll.click(partnerDocument)
	payroll.click(partnerSelfie)
	payroll.see(partnerLink)
	wallet.open(d.wallet)
	wallet.click(walletRequest)
	wallet.click(walletAdd)
	payroll.click(partnerBack)
	payroll.click(haveCard)
	payroll.see(code)
	wallet.open(d.wallet)
	wallet.click(walletRequest)
	wallet.click(walletShare)
	payroll.see(demoName)
	if got, want := payroll.at(), d.payroll+"/bank"; got != want {
		t.Errorf("the visitor stands at %s, want %s", got, want)
	}
}

// A trick of the demo's wallet shows the gate staying shut.
func TestDemoRefusesALowScore(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	payroll := newVisitor(t)
	wallet := payroll.newTab()

	payroll.open(d.payroll)
	payroll.click(haveCard)
	payroll.see(code)
	wallet.open(d.wallet)
	wallet.click(walletRequest)
	wallet.click(walletTricks)
	wallet.click(walletLow)
	payroll.see(refusedSign)
}
