// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// exampleHeaders are the headers that the gate of the examples for other proxies sets, in lower case and in order.
func exampleHeaders(t *testing.T) []string {
	t.Helper()
	_, sites, ok := strings.Cut(exampleFile(t, "forward-auth-gate", "Caddyfile"), "\n}\n")
	if !ok {
		t.Fatal("the example has no global options")
	}
	x := attack(t, "", strings.Replace(sites, "http://:8081", ":80", 1))
	names := map[string]bool{}
	for _, g := range x.app.gates.gates {
		for _, header := range g.headers {
			names[strings.ToLower(header.name)] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func exampleFile(t *testing.T, folder, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "examples", folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// A header is added to the gate of the examples, or one is forgotten in one of the proxies: the app would get the client's own.
// Every header is both copied from the gate's answer and deleted from the client's request, in every example, and no other is.
// TM-001, TM-003.
func TestForwardAuthExamplesCopyAndDeleteEveryHeader(t *testing.T) {
	want := exampleHeaders(t)
	if len(want) != 7 {
		t.Fatalf("the gate sets %q", want)
	}
	for _, tt := range []struct{ folder, file, what, pattern string }{
		{"nginx", "nginx.conf", "asked for", `auth_request_set \$\w+ \$upstream_http_((?:x_verified|x_employee)\w+);`},
		{"nginx", "nginx.conf", "replaced", `proxy_set_header (X-(?:Verified|Employee)\S+) \$`},
		{"caddy", "Caddyfile", "copied and deleted", `(?m)^\t\t\t\t\t(X-\S+)$`},
		{"traefik", "dynamic.yaml", "copied and deleted", `(?m)^          - (X-\S+)$`},
		{"envoy", "envoy.yaml", "deleted", `- remove: (\S+)`},
		{"envoy", "envoy.yaml", "copied", `- exact: (x-(?:verified|employee)\S+)`},
		{"haproxy", "verified_id.lua", "asked for", `"(x-(?:verified|employee)[^"]+)"`},
		{"haproxy", "haproxy.cfg", "copied", `set-header (X-(?:Verified|Employee)\S+) %`},
	} {
		var got []string
		for _, found := range regexp.MustCompile(tt.pattern).FindAllStringSubmatch(exampleFile(t, "forward-auth-"+tt.folder, tt.file), -1) {
			got = append(got, strings.ReplaceAll(strings.ToLower(found[1]), "_", "-"))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s are %q, want %q", tt.folder, tt.what, got, want)
		}
	}

	// HAProxy deletes by pattern.
	haproxy := exampleFile(t, "forward-auth-haproxy", "haproxy.cfg")
	deleted := regexp.MustCompile(`del-header (\S+) -m reg`).FindAllStringSubmatch(haproxy, -1)
	for _, name := range want {
		if !slices.ContainsFunc(deleted, func(found []string) bool { return regexp.MustCompile(found[1]).MatchString(name) }) {
			t.Errorf("haproxy: %s is not deleted", name)
		}
	}
	if last := strings.LastIndex(haproxy, "del-header"); last > strings.Index(haproxy, "set-header X-") {
		t.Error("haproxy: headers are deleted after they are set")
	}
	envoy := exampleFile(t, "forward-auth-envoy", "envoy.yaml")
	if strings.Index(envoy, "- name: envoy.filters.http.header_mutation") > strings.Index(envoy, "- name: envoy.filters.http.ext_authz") {
		t.Error("envoy: headers are deleted after they are set")
	}
}

// The examples that are not run are at least read, and none of them leaves the question to the client. TM-108.
func TestForwardAuthExamplesAreYAML(t *testing.T) {
	for folder, files := range map[string][]string{"forward-auth-traefik": {"traefik.yaml", "dynamic.yaml"}, "forward-auth-envoy": {"envoy.yaml"}} {
		for _, name := range files {
			decoder := yaml.NewDecoder(strings.NewReader(exampleFile(t, folder, name)))
			var document map[string]any
			if err := decoder.Decode(&document); err != nil || len(document) == 0 {
				t.Errorf("%s/%s: %v", folder, name, err)
			}
			if err := decoder.Decode(&document); !errors.Is(err, io.EOF) {
				t.Errorf("%s/%s has more than one document: %v", folder, name, err)
			}
		}
	}
	if strings.Contains(exampleFile(t, "forward-auth-traefik", "dynamic.yaml"), "trustForwardHeader:") {
		t.Error("traefik trusts what its client says of the request")
	}
	for _, name := range []string{"x-forwarded-method", "x-forwarded-host", "x-forwarded-uri"} {
		overwritten := regexp.MustCompile(`key: ` + name + `, value: "%REQ\([^"]+\)%" \}\s+append_action: OVERWRITE_IF_EXISTS_OR_ADD`)
		if !overwritten.MatchString(exampleFile(t, "forward-auth-envoy", "envoy.yaml")) {
			t.Errorf("envoy leaves %s to its client", name)
		}
	}
}
