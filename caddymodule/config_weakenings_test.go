// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// Somebody switches a check off for an afternoon, and nobody ever hears of it again. Every option that weakens the gate is
// called insecure_…, and the code, the warnings at each load, the Caddyfile and README.md know the same ones. TM-150.
func TestWeakeningsAreListedEverywhere(t *testing.T) {
	app := new(App)
	inCode := map[string]bool{}
	for _, id := range caddy.Modules() {
		if !strings.Contains(id, "verified_id") || id == "verified_id_test_probe" {
			continue
		}
		info, err := caddy.GetModule(id)
		if err != nil {
			t.Fatal(err)
		}
		module := info.New()
		if id == "verified_id" {
			module = app
		}
		weaken(reflect.ValueOf(module), inCode)
		if store, ok := module.(weakenable); ok {
			app.storeModule, _ = store.(StoreModule)
		}
	}
	if len(inCode) < 3 {
		t.Fatalf("found only %v in the code; has the way options are declared changed?", inCode)
	}

	core, logs := observer.New(zap.WarnLevel)
	app.logger = zap.New(core)
	app.warnWeakenings()
	warned := map[string]bool{}
	for _, entry := range logs.All() {
		option, ok := entry.ContextMap()["option"].(string)
		if !ok || entry.Level != zap.WarnLevel {
			t.Errorf("the warning %q names no option", entry.Message)
		}
		if warned[option] {
			t.Errorf("%s is warned about twice", option)
		}
		warned[option] = true
	}

	inCaddyfile := map[string]bool{}
	for _, o := range knownOptions(t) {
		if strings.HasPrefix(o.option, "insecure_") {
			inCaddyfile[o.option] = true
		}
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	inREADME := map[string]bool{}
	for _, option := range regexp.MustCompile(`insecure_[a-z_]+`).FindAllString(string(readme), -1) {
		inREADME[option] = true
	}
	for name, list := range map[string]map[string]bool{"the warnings": warned, "the Caddyfile": inCaddyfile, "README.md": inREADME} {
		for option := range inCode {
			if !list[option] {
				t.Errorf("%s: %s is in the code only", name, option)
			}
		}
		for option := range list {
			if !inCode[option] {
				t.Errorf("%s: %s is not in the code", name, option)
			}
		}
	}

	// A sound config warns about nothing.
	sound := &App{Credentials: map[string]*Credential{"employee": {}}, logger: app.logger}
	if sound.warnWeakenings(); logs.Len() != len(inCode) {
		t.Errorf("%d warnings of a config without weakenings", logs.Len()-len(inCode))
	}
}

// weaken sets every option whose JSON name begins with insecure_, in a config struct of ours and all those in it, and notes
// the names. Maps and slices get an entry to weaken.
func weaken(value reflect.Value, names map[string]bool) {
	kind := value.Type()
	switch value.Kind() {
	case reflect.Pointer:
		if value.IsNil() && ours(kind.Elem()) {
			value.Set(reflect.New(kind.Elem()))
		}
		if !value.IsNil() {
			weaken(value.Elem(), names)
		}
	case reflect.Map:
		if element := kind.Elem(); element.Kind() == reflect.Pointer && ours(element.Elem()) && value.Len() == 0 {
			value.Set(reflect.MakeMap(kind))
			value.SetMapIndex(reflect.ValueOf("employee"), reflect.New(element.Elem()))
		}
		for _, key := range value.MapKeys() {
			weaken(value.MapIndex(key), names)
		}
	case reflect.Slice:
		if ours(kind.Elem()) && value.Len() == 0 {
			value.Set(reflect.Append(value, reflect.Zero(kind.Elem())))
		}
		for i := range value.Len() {
			weaken(value.Index(i), names)
		}
	case reflect.Struct:
		for i := range value.NumField() {
			field := kind.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			switch {
			case !field.IsExported() || !ours(kind):
			case strings.HasPrefix(name, "insecure_"):
				names[name] = true
				value.Field(i).SetBool(true)
			default:
				weaken(value.Field(i), names)
			}
		}
	default:
	}
}

// ours are the structs that are config of this package, or of a store beside it.
func ours(kind reflect.Type) bool {
	module := strings.TrimSuffix(reflect.TypeFor[App]().PkgPath(), "caddymodule")
	return kind.Kind() == reflect.Struct && strings.HasPrefix(kind.PkgPath(), module)
}

// Each load warns, not only the first: whoever looks at the log of today must find it.
func TestWeakeningsAreWarnedAboutAtEachLoad(t *testing.T) {
	setSecret(t)
	m := newMachine(t)
	text := strings.Replace(caddyfileOf("insecure_loopback_http", sitePart), "issuer ", "insecure_allow_revoked\ninsecure_skip_linked_domain\nissuer ", 1)
	for load := 1; load <= 3; load++ {
		if err := m.load(t, adaptText(t, text), nil); err != nil {
			t.Fatal(err)
		}
		logged := m.logged(t)
		for _, option := range []string{"insecure_loopback_http", "insecure_allow_revoked", "insecure_skip_linked_domain"} {
			if got := strings.Count(logged, option); got != load {
				t.Errorf("after %d loads %s was warned about %d times", load, option, got)
			}
		}
	}
}
