// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What only the load can know: environment, files, keys. Each error names the option and how to mend it, and no error holds
// a secret, however it got into the wrong place. TM-147, TM-149, TM-102.
func TestBrokenSurroundingsDoNotLoad(t *testing.T) {
	const canary = "canary-9f27c1"
	setSecret(t)
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := signingKeyPEM(t)
	shortKey := base64.StdEncoding.EncodeToString([]byte(canary))
	t.Setenv("CANARY", canary)
	t.Setenv("CANARY_KEY", string(key))
	t.Setenv("CANARY_KEY_LINE", strings.ReplaceAll(string(key), "\n", ""))
	t.Setenv("SHORT_KEY", shortKey)
	t.Setenv("CONSTANT_KEY", base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))))
	t.Setenv("SOUND_KEY", base64.StdEncoding.EncodeToString(randomBytes(32)))
	t.Setenv("SOUND_KEY_AGAIN", os.Getenv("SOUND_KEY"))
	t.Setenv("EXAMPLE", "ChangeMe-please")
	t.Setenv("BLANK", "  ")
	t.Setenv("PLAIN_HTTP", "http://payroll.contoso.example")
	canaries := []string{
		canary, testSecret, shortKey, os.Getenv("CONSTANT_KEY"), os.Getenv("SOUND_KEY"), string(key[40:80]), "ChangeMe-please",
	}

	entraWith := func(options string) string {
		return "{\nverified_id {\nentra {env.VERIFIED_ID_TEST_TENANT} {\n" + options + "\n}\n" + whoPart + credentialPart + "\n}\n}\n" + sitePart
	}
	t.Setenv("VERIFIED_ID_TEST_TENANT", "contoso.example")
	secretOf := func(value string) string { return entraWith("client_id app\nclient_secret " + value) }
	appWith := func(options string) string { return caddyfileOf(options, sitePart) }

	for _, c := range []struct {
		name, text string
		wants      []string
	}{
		{"secret: unset variable", secretOf("{env.UNSET}"), []string{"client_secret", "{env.UNSET}", "set the variable"}},
		{"secret: blank variable", secretOf("{env.BLANK}"), []string{"client_secret is empty", "put a value there"}},
		{"secret: missing file", secretOf("{file." + dir + "/nothing}"), []string{"client_secret", "make the file readable"}},
		{"secret: empty file", secretOf("{file." + file("empty", "", 0o600) + "}"), []string{"client_secret", "empty"}},
		{"secret: file with a line break only", secretOf("{file." + file("line", "\n", 0o600) + "}"), []string{"client_secret", "empty"}},
		{"secret: unknown placeholder", secretOf("{vault." + "secret}"), []string{"client_secret", "{env.NAME} or {file./path}"}},
		{"secret: braces", secretOf(`"` + canary + `{` + canary + `}"`), []string{"client_secret", "{env.NAME} or {file./path}"}},
		{"secret: example", secretOf("{env.EXAMPLE}"), []string{"client_secret still holds an example value"}},
		{"client_id: unset variable", entraWith("client_id {env.UNSET}\nclient_secret {env.CANARY}"), []string{"client_id", "{env.UNSET}"}},
		{"tenant: unset variable", strings.ReplaceAll(secretOf("{env.CANARY}"), "VERIFIED_ID_TEST_TENANT", "UNSET"), []string{"tenant", "{env.UNSET}"}},
		{"tenant: no tenant", strings.ReplaceAll(secretOf("{env.CANARY}"), "{env.VERIFIED_ID_TEST_TENANT}", `"contoso example"`), []string{"entra", "tenant"}},
		{"authority_host: plain http", entraWith("client_id app\nclient_secret {env.CANARY}\nauthority_host {env.PLAIN_HTTP}"), []string{"authority_host", "https"}},

		{"certificate: missing", entraWith("client_id app\nclient_certificate " + dir + "/nothing.pem"), []string{"client_certificate", "nothing.pem", "correct the path"}},
		{"certificate: readable by all", entraWith("client_id app\nclient_certificate " + file("open.pem", string(key), 0o644)), []string{"client_certificate", "mode 0644", "chmod 600"}},
		{"certificate: no PEM", entraWith("client_id app\nclient_certificate " + file("canary.pem", canary, 0o600)), []string{"certificate", "PEM"}},
		{"certificate: in place of its path", entraWith("client_id app\nclient_certificate {env.CANARY_KEY}"), []string{"client_certificate", "give the path of the file"}},
		{"certificate: one line in place of its path", entraWith("client_id app\nclient_certificate {env.CANARY_KEY_LINE}"), []string{"client_certificate", "give the path of the file"}},
		{"certificate: a secret in place of its path", entraWith("client_id app\nclient_certificate {env.CANARY}"), []string{"client_certificate", "correct the path"}},
		{"certificate: password unset", entraWith("client_id app\nclient_certificate " + file("own.pem", string(key), 0o600) + " {env.UNSET}"), []string{"certificate_password", "{env.UNSET}"}},
		{"workload identity without its environment", entraWith("workload_identity"), []string{"entra"}},

		{"subject_key: unset variable", appWith("subject_key {env.UNSET}"), []string{"subject_key", "{env.UNSET}"}},
		{"subject_key: short", appWith("subject_key {env.SHORT_KEY}"), []string{"subject_key", "needs at least 32", "openssl rand -base64 32"}},
		{"subject_key: constant", appWith("subject_key {env.CONSTANT_KEY}"), []string{"subject_key", "weak"}},
		{"subject_key: no base64", appWith("subject_key {env.CANARY}"), []string{"subject_key is not base64", "openssl rand -base64 32"}},
		{"sealing_key: unset variable", appWith("sealing_key {env.UNSET}"), []string{"sealing_key", "{env.UNSET}"}},
		{"sealing_key: short", appWith("sealing_key {env.SHORT_KEY}"), []string{"sealing_key", "openssl rand -base64 32"}},
		{"sealing_key: constant", appWith("sealing_key {env.CONSTANT_KEY}"), []string{"sealing_key", "weak"}},
		{"sealing_key: no base64", appWith("sealing_key {env.CANARY}"), []string{"sealing_key is not base64", "openssl rand -base64 32"}},
		{"sealing_key: twice", appWith("sealing_key {env.SOUND_KEY} {env.SOUND_KEY_AGAIN}"), []string{"sealing_key", "twice"}},

		{"kickstart_key: missing", appWith("kickstart_key " + dir + "/nothing.pem"), []string{"kickstart_key", "nothing.pem", "correct the path"}},
		{"kickstart_key: readable by the group's writers", appWith("kickstart_key " + file("group.pem", string(key), 0o660)), []string{"kickstart_key", "mode 0660", "chmod 600"}},
		{"kickstart_key: a directory", appWith("kickstart_key " + dir), []string{"kickstart_key", "is no file with a key"}},
		{"kickstart_key: garbage", appWith("kickstart_key " + file("garbage.pem", canary, 0o600)), []string{"kickstart_key", "no PEM block", "openssl"}},
		{"kickstart_key: weak", appWith("kickstart_key " + file("weak.pem", string(weakKeyPEM(t)), 0o600)), []string{"kickstart_key", "1024 bits is too small", "openssl"}},
		{"kickstart_key: elliptic", appWith("kickstart_key " + file("elliptic.pem", string(ellipticKeyPEM(t)), 0o600)), []string{"kickstart_key", "RSA", "openssl"}},
		{"kickstart_key: in place of its path", appWith("kickstart_key {file." + file("key.pem", string(key), 0o600) + "}"), []string{"kickstart_key", "give the path of the file"}},
		{"kickstart_key: same key in two files", appWith("kickstart_key " + file("a.pem", string(key), 0o600) + " " + file("b.pem", string(key), 0o600)), []string{"twice"}},

		{"trusted_ca: missing", appWith("trusted_ca " + dir + "/nothing.pem"), []string{"trusted_ca", "nothing.pem", "correct the path"}},
		{"trusted_ca: no certificate", appWith("trusted_ca " + file("ca.pem", canary, 0o644)), []string{"trusted_ca", "ca.pem", "no PEM certificate"}},
		{"trusted_ca: unset variable", appWith("trusted_ca {env.UNSET}"), []string{"trusted_ca", "{env.UNSET}"}},
		{"trusted_ca: in place of its path", appWith("trusted_ca {env.CANARY_KEY}"), []string{"trusted_ca", "give the path of the file"}},

		{"public_url: unset variable", appWith("public_url {env.UNSET}"), []string{"public_url", "{env.UNSET}"}},
		{"public_url: plain http", appWith("public_url {env.PLAIN_HTTP}"), []string{"public_url", "https", "TLS"}},
		{"public_url: http on loopback", appWith("public_url http://localhost:8080"), []string{"public_url", "insecure_loopback_http"}},
		{"service: plain http", appWith("service {env.PLAIN_HTTP}\ninsecure_loopback_http"), []string{"service", "https"}},
		{"service: http on loopback", appWith("service http://localhost:8090"), []string{"service", "https"}},
		{"idv url: http on loopback", appWith("idv partner {\nurl http://localhost:8092/\norg_id contoso\n}"), []string{"idv partner", "url", "https"}},

		{"idv logo: missing", appWith("idv partner {\nurl https://idv.example/\norg_id contoso\nlogo " + dir + "/nothing.svg\n}"), []string{"idv partner", "logo", "nothing.svg"}},
		{"logo: too large", appWith("pages {\nlogo " + file("large.svg", "<svg"+strings.Repeat(" ", maxLogoBytes), 0o644) + "\n}"), []string{"logo", "large.svg", "256 KiB"}},
		{"logo: another type", appWith("pages {\nlogo " + file("page.png", "<!doctype html>", 0o644) + "\n}"), []string{"logo", "page.png", "image/png"}},
		{"logo: empty", appWith("pages {\nlogo " + file("empty.svg", "", 0o644) + "\n}"), []string{"logo", "empty.svg", "image/svg+xml"}},
		{"templates: missing", appWith("pages {\ntemplates " + dir + "/nowhere\n}"), []string{"pages", "template", "nowhere"}},
		{"templates: broken", appWith("pages {\ntemplates " + templatesDir(t, "start.html", "{{ if }}") + "\n}"), []string{"pages", "template", "start.html"}},
		{"templates: environment", appWith("pages {\ntemplates " + templatesDir(t, "start.html", `{{ env "CANARY" }}`) + "\n}"), []string{"pages", "template", "env"}},
		{"templates: files", appWith("pages {\ntemplates " + templatesDir(t, "start.html", `{{ include "/etc/passwd" }}`) + "\n}"), []string{"pages", "template", "include"}},
		{"templates: misspelled name", appWith("pages {\ntemplates " + templatesDir(t, "strat.html", "x") + "\n}"), []string{"pages", "template", "strat.html"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t)
			wantError(t, m.load(t, adaptText(t, c.text), nil), canaries, c.wants...)
			for _, secret := range canaries {
				if strings.Contains(m.logged(t), secret) {
					t.Errorf("the log holds %q", secret)
				}
			}
		})
	}
}

func templatesDir(t *testing.T, name, content string) string {
	t.Helper()
	return filepath.Dir(writeFile(t, name, content))
}
