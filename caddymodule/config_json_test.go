// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// object is a JSON object to be changed.
type object = map[string]any

// Who writes JSON has no parser of the Caddyfile in front of them. What it refuses, and what it cannot write at all, the load
// refuses too, and names the option. TM-006, TM-048, TM-149.
func TestWrongJSONDoesNotLoad(t *testing.T) {
	setSecret(t)
	const canary = "canary-41b7e0"
	credential := func(app object) object { return app["credentials"].(object)["employee"].(object) } //nolint:forcetypeassert // of our making
	partner := func(app object) object {
		app["idv"] = object{"partner": object{"url": "https://idv.example/", "org_id": "contoso"}}
		return app["idv"].(object)["partner"].(object) //nolint:forcetypeassert // of our making
	}
	entra := func(app object) object { return app["entra"].(object) } //nolint:forcetypeassert // of our making
	header := func(name, value string) func(app, gate object) {
		return func(_, gate object) { gate["headers"] = []object{{"name": name, "value": value}} }
	}

	for name, c := range map[string]struct {
		change func(app, gate object)
		wants  []string
	}{
		"unknown option":                {func(app, _ object) { app["verifier"] = "did:web:x" }, []string{"verifier"}},
		"no entra":                      {func(app, _ object) { delete(app, "entra") }, []string{"entra is missing", "add: entra"}},
		"entra: no way":                 {func(app, _ object) { delete(entra(app), "client_secret") }, []string{"client_secret", "exactly one"}},
		"entra: two ways":               {func(app, _ object) { entra(app)["workload_identity"] = true }, []string{"workload_identity", "exactly one"}},
		"entra: no tenant":              {func(app, _ object) { delete(entra(app), "tenant") }, []string{"tenant is missing"}},
		"entra: no client id":           {func(app, _ object) { delete(entra(app), "client_id") }, []string{"client_id is missing"}},
		"entra: password alone":         {func(app, _ object) { entra(app)["certificate_password"] = canary }, []string{"certificate_password", "client_certificate"}},
		"entra: managed id alone":       {func(app, _ object) { entra(app)["managed_identity_client_id"] = "x" }, []string{"managed_identity_client_id"}},
		"no authority":                  {func(app, _ object) { delete(app, "authority") }, []string{"authority", "did:web:"}},
		"authority: placeholder":        {func(app, _ object) { app["authority"] = "{env.AUTHORITY}" }, []string{"authority", "did:web:"}},
		"no client_name":                {func(app, _ object) { delete(app, "client_name") }, []string{"client_name is missing"}},
		"client_name: line break":       {func(app, _ object) { app["client_name"] = "Contoso\nMicrosoft" }, []string{"client_name", "printable"}},
		"client_name: right to left":    {func(app, _ object) { app["client_name"] = "Contoso \u202eosotnoC" }, []string{"client_name", "printable"}},
		"client_name: placeholder":      {func(app, _ object) { app["client_name"] = "{env.NAME}" }, []string{"client_name", "not replaced"}},
		"client_name: long":             {func(app, _ object) { app["client_name"] = strings.Repeat("é", 101) }, []string{"client_name", "101", "100"}},
		"purpose: long":                 {func(app, _ object) { app["purpose"] = strings.Repeat("x", 201) }, []string{"purpose", "200"}},
		"callback_header":               {func(app, _ object) { app["callback_header"] = "x-key" }, []string{"callback_header", "authorization or api-key"}},
		"public_url":                    {func(app, _ object) { app["public_url"] = "https://*.contoso.example" }, []string{"public_url", "no single host"}},
		"service: no URL":               {func(app, _ object) { app["service"] = "verifiedid.example" }, []string{"service"}},
		"store: unknown":                {func(app, _ object) { app["store"] = object{"store": "postgres"} }, []string{"store", "postgres"}},
		"store: unknown option":         {func(app, _ object) { app["store"] = object{"store": "memory", "size": 1} }, []string{"store", "size"}},
		"store: no name":                {func(app, _ object) { app["store"] = object{} }, []string{"store"}},
		"sealing key: short":            {func(app, _ object) { app["sealing_keys"] = []string{"Y2FuYXJ5LTQxYjdlMA=="} }, []string{"sealing_key", "openssl rand -base64 32"}},
		"sealing key: empty":            {func(app, _ object) { app["sealing_keys"] = []string{""} }, []string{"sealing_key is empty"}},
		"kickstart key: empty":          {func(app, _ object) { app["kickstart_keys"] = []string{""} }, []string{"kickstart_key", "empty"}},
		"session: two days":             {func(app, _ object) { app["session"] = object{"lifetime": "48h"} }, []string{"session lifetime", "24h"}},
		"session: negative":             {func(app, _ object) { app["session"] = object{"lifetime": -1} }, []string{"session lifetime"}},
		"session: idle":                 {func(app, _ object) { app["session"] = object{"lifetime": "1h", "idle": "2h"} }, []string{"session idle", "1h"}},
		"session: cross device":         {func(app, _ object) { app["session"] = object{"cross_device_lifetime": "9h"} }, []string{"session cross_device_lifetime", "8h"}},
		"limits: negative":              {func(app, _ object) { app["limits"] = object{"starts_per_client": -1} }, []string{"limits starts_per_client", "1000"}},
		"limits: pending":               {func(app, _ object) { app["limits"] = object{"pending": 100_001} }, []string{"limits pending", "100000"}},
		"limits: pending per client":    {func(app, _ object) { app["limits"] = object{"pending_per_client": -5} }, []string{"limits pending_per_client"}},
		"limits: streams":               {func(app, _ object) { app["limits"] = object{"streams": 1_000_001} }, []string{"limits streams", "1000000"}},
		"limits: per second":            {func(app, _ object) { app["limits"] = object{"starts_per_second": 1001} }, []string{"limits starts_per_second", "1000"}},
		"pages: language":               {func(app, _ object) { app["pages"] = object{"language": "fr"} }, []string{"pages", "language", "fr", "en"}},
		"pages: colour":                 {func(app, _ object) { app["pages"] = object{"colour": "blue"} }, []string{"pages", "colour", "#1d4ed8"}},
		"pages: brand":                  {func(app, _ object) { app["pages"] = object{"brand": "a\tb"} }, []string{"pages brand", "printable"}},
		"pages: logo":                   {func(app, _ object) { app["pages"] = object{"logo": "/logo.gif"} }, []string{"pages", "logo", ".svg"}},
		"no credentials":                {func(app, _ object) { delete(app, "credentials") }, []string{"no credential is defined", "add: credential"}},
		"credential: null":              {func(app, _ object) { app["credentials"] = object{"employee": nil} }, []string{"credential employee", "empty"}},
		"credential: name":              {func(app, _ object) { app["credentials"] = object{"an employee": credential(app)} }, []string{"an employee", "letters"}},
		"credential: no type":           {func(app, _ object) { delete(credential(app), "type") }, []string{"credential employee", "type is missing"}},
		"credential: type of all":       {func(app, _ object) { credential(app)["type"] = "VerifiableCredential" }, []string{"type", "every credential"}},
		"credential: no issuers":        {func(app, _ object) { delete(credential(app), "issuers") }, []string{"issuer is missing", "any issuer"}},
		"credential: empty issuers":     {func(app, _ object) { credential(app)["issuers"] = []string{} }, []string{"issuer is missing", "any issuer"}},
		"credential: empty issuer":      {func(app, _ object) { credential(app)["issuers"] = []string{""} }, []string{"issuer", "DID"}},
		"credential: issuer twice":      {func(app, _ object) { credential(app)["issuers"] = []string{testIssuer, testIssuer} }, []string{"issuer", "repetition"}},
		"credential: threshold 49":      {func(app, _ object) { credential(app)["face_check"] = object{"threshold": 49} }, []string{"face_check", "50 to 100"}},
		"credential: threshold 101":     {func(app, _ object) { credential(app)["face_check"] = object{"threshold": 101} }, []string{"face_check", "50 to 100"}},
		"credential: threshold below 0": {func(app, _ object) { credential(app)["face_check"] = object{"threshold": -70} }, []string{"face_check", "50 to 100"}},
		"credential: off and on":        {func(app, _ object) { credential(app)["face_check"] = object{"off": true, "threshold": 70} }, []string{"face_check", "off"}},
		"credential: linked domain":     {func(app, _ object) { credential(app)["linked_domains"] = []string{"https://contoso.com"} }, []string{"linked_domain", "host name"}},
		"credential: domain skipped": {func(app, _ object) {
			credential(app)["linked_domains"] = []string{"contoso.com"}
			credential(app)["insecure_skip_linked_domain"] = true
		}, []string{"linked_domain", "insecure_skip_linked_domain", "remove one"}},
		"credential: negative age":    {func(app, _ object) { credential(app)["max_credential_age"] = -1 }, []string{"max_credential_age", "negative"}},
		"credential: purpose":         {func(app, _ object) { credential(app)["purpose"] = "a\nb" }, []string{"purpose", "printable"}},
		"credential: display name":    {func(app, _ object) { credential(app)["display_name"] = "a\nb" }, []string{"display_name", "printable"}},
		"credential: keeps the photo": {func(app, _ object) { credential(app)["keep"] = []string{"photo"} }, []string{"keep photo"}},
		"credential: keeps nothing":   {func(app, _ object) { credential(app)["keep"] = []string{""} }, []string{"credential employee", "kept claim 1"}},
		"credential: constraint":      {func(app, _ object) { credential(app)["constraints"] = []object{{"claim": "a"}} }, []string{"constraint", "exactly one"}},
		"credential: two operators": {func(app, _ object) {
			credential(app)["constraints"] = []object{{"claim": "a", "contains": "b", "starts_with": "b"}}
		}, []string{"constraint", "exactly one"}},
		"credential: constraint on photo": {func(app, _ object) { credential(app)["constraints"] = []object{{"claim": "photo", "contains": "b"}} }, []string{"constraint photo"}},
		"credential: unknown partner":     {func(app, _ object) { credential(app)["idv"] = []string{"clear"} }, []string{`idv "clear" is not defined`, "add"}},
		"idv: null":                       {func(app, _ object) { app["idv"] = object{"partner": nil} }, []string{"idv partner", "empty"}},
		"idv: name":                       {func(app, _ object) { app["idv"] = object{"a.b": partner(app)} }, []string{"idv a.b", "letters"}},
		"idv: no url":                     {func(app, _ object) { delete(partner(app), "url") }, []string{"idv partner", "url is missing"}},
		"idv: preset":                     {func(app, _ object) { partner(app)["partner"] = "au10tics" }, []string{"idv partner", "au10tics", "table of partners"}},
		"idv: no url of a preset": {func(app, _ object) {
			p := partner(app)
			delete(p, "url")
			p["partner"] = "vu"
		}, []string{"idv partner", "url is missing", "ask VU", "start URL", "write url"}},
		"idv: http":      {func(app, _ object) { partner(app)["url"] = "http://idv.example/" }, []string{"idv partner", "url", "https"}},
		"idv: no org_id": {func(app, _ object) { delete(partner(app), "org_id") }, []string{"idv partner", "org_id is missing"}},
		"idv: lifetime":  {func(app, _ object) { partner(app)["lifetime"] = "16m" }, []string{"idv partner", "lifetime", "15m"}},
		"idv: claims":    {func(app, _ object) { partner(app)["claims"] = "all" }, []string{"idv partner", "claims", "hardened or minimal"}},
		"idv: audience": {func(app, _ object) {
			p := partner(app)
			p["claims"], p["audience"] = "minimal", "https://idv.example"
		}, []string{"idv partner", "audience", "hardened"}},
		"idv: note": {func(app, _ object) { partner(app)["note"] = strings.Repeat("x", 201) }, []string{"idv partner", "note", "200"}},

		"gate: unknown option":     {func(_, gate object) { gate["redirect"] = "/" }, []string{"redirect"}},
		"gate: unknown credential": {func(_, gate object) { gate["credentials"] = []string{"guest"} }, []string{`"guest" is not defined`, "add"}},
		"gate: credential twice":   {func(_, gate object) { gate["credentials"] = []string{"employee", "employee"} }, []string{`"employee" is named twice`}},
		"gate: which of two":       {func(app, _ object) { app["credentials"].(object)["guest"] = credential(app) }, []string{"several are defined"}}, //nolint:forcetypeassert // of our making
		"gate: unknown matcher":    {func(_, gate object) { gate["match"] = []object{{"moon": "full"}} }, []string{"matcher", "moon"}},
		"gate: negative age":       {func(_, gate object) { gate["max_age"] = -1 }, []string{"max_age", "negative"}},
		"gate: short age":          {func(_, gate object) { gate["max_age"] = "29s" }, []string{"max_age", "29s", "at least 30s"}},
		"gate: threshold":          {func(_, gate object) { gate["face_check"] = 49 }, []string{"face_check", "50 to 100"}},
		"gate: threshold below 0":  {func(_, gate object) { gate["face_check"] = -90 }, []string{"face_check", "50 to 100"}},
		"gate: face check off": {func(app, gate object) {
			credential(app)["face_check"] = object{"off": true}
			gate["face_check"] = 90
		}, []string{"face_check 90", "employee", "switch it on"}},
		"gate: rule without values": {func(_, gate object) { gate["require"] = []object{{"claim": "role"}} }, []string{"require", "role", "value"}},
		"gate: rule without claim":  {func(_, gate object) { gate["require"] = []object{{"values": []string{"a"}}} }, []string{"require", "claim"}},
		"gate: empty value":         {func(_, gate object) { gate["require"] = []object{{"claim": "role", "values": []string{""}}} }, []string{"require role", "empty"}},
		"gate: impossible rules": {func(_, gate object) {
			gate["require"] = []object{{"claim": "role", "values": []string{"a"}}, {"claim": "role", "values": []string{"b"}}}
		}, []string{"require role", "nobody"}},
		"gate: rule on the photo": {func(_, gate object) { gate["require"] = []object{{"claim": "photo", "values": []string{"a"}}} }, []string{"require photo"}},
		"gate: bind to nothing":   {func(_, gate object) { gate["bind"] = object{"claim": "mail"} }, []string{"bind", "{http.auth.user.id}"}},
		"gate: bind to itself":    {func(_, gate object) { gate["bind"] = object{"claim": "mail", "value": "ana@contoso.example"} }, []string{"bind mail", "no placeholder"}},
		"gate: bind the photo":    {func(_, gate object) { gate["bind"] = object{"claim": "photo", "value": "{http.auth.user.id}"} }, []string{"bind photo"}},
		"gate: optional and report": {func(_, gate object) {
			gate["optional"] = true
			gate["report_only"] = true
		}, []string{"optional and report_only", "remove one"}},
		"gate: public":               {func(_, gate object) { gate["public"] = []string{"/a/../b"} }, []string{"public", "plain path"}},
		"gate: public everything":    {func(_, gate object) { gate["public"] = []string{"/*"} }, []string{"public", "plain path"}},
		"gate: public empty":         {func(_, gate object) { gate["public"] = []string{""} }, []string{"public", "plain path"}},
		"gate: preset":               {func(_, gate object) { gate["header_preset"] = "all" }, []string{"headers", "all", "x_forwarded"}},
		"gate: header without name":  {header("", "{subject}"), []string{"header name is empty"}},
		"gate: header folded":        {header("X_Employee", "{subject}"), []string{"X_Employee", "X-Employee"}},
		"gate: header of the preset": {header("x-verified-id-SUBJECT", "{subject}"), []string{"X-Verified-Id-Subject", "set already"}},
		"gate: hop by hop":           {header("Connection", "{subject}"), []string{"Connection", "reserved"}},
		"gate: header without value": {header("X-Mail", ""), []string{"X-Mail", "empty"}},
		"gate: header of the photo":  {header("X-Photo", "{claim.photo}"), []string{"X-Photo", "photo"}},
		"gate: header with a break":  {header("X-Mail", "{claim.mail}\r\nX-Role: admin"), []string{"X-Mail"}},
		"gate: header with a tab":    {header("X-Mail", "{claim.mail}\t{claim.upn}"), []string{"X-Mail"}},
		"gate: unknown placeholder":  {header("X-Mail", "{env.VERIFIED_ID_TEST_SECRET}"), []string{"X-Mail", "unknown", "{claim.<name>}"}},
		"gate: two headers for one": {func(_, gate object) {
			gate["headers"] = []object{{"name": "X-Mail", "value": "{claim.mail}"}, {"name": "x-mail", "value": "{claim.upn}"}}
		}, []string{"x-mail", "X-Mail"}},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, newMachine(t).load(t, changedConfig(t, c.change), nil), []string{testSecret, canary}, c.wants...)
		})
	}
}

// changedConfig is the JSON of a config that loads, after a change.
func changedConfig(t *testing.T, change func(app, gate object)) []byte {
	t.Helper()
	var config struct {
		Apps object `json:"apps"`
	}
	if err := json.Unmarshal(adaptText(t, caddyfileOf("", "")), &config); err != nil {
		t.Fatal(err)
	}
	gate := object{"handler": "verified_id"}
	config.Apps["http"] = object{"servers": object{"srv": object{"listen": []string{":443"}, "routes": []object{{
		"match": []object{{"host": []string{"payroll.contoso.example"}}}, "handle": []object{gate},
	}}}}}
	app, ok := config.Apps["verified_id"].(object)
	if !ok {
		t.Fatalf("no app in %v", config)
	}
	change(app, gate)
	return mustJSON(config)
}

// The config that the changes above begin with loads, and so does one with placeholders where they are replaced.
func TestPlainJSONLoads(t *testing.T) {
	setSecret(t)
	t.Setenv("SITE", "https://payroll.contoso.example/")
	for name, change := range map[string]func(app, gate object){
		"as it is":               func(_, _ object) {},
		"public_url by variable": func(app, _ object) { app["public_url"] = "{env.SITE}" },
		"photo without check": func(app, gate object) {
			app["credentials"] = object{"employee": object{"type": "T", "issuers": []string{testIssuer}, "face_check": object{"off": true}}}
			gate["require"] = []object{{"claim": "role", "values": []string{"a", "b"}}, {"claim": "role", "values": []string{"b", "c"}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := newMachine(t).load(t, changedConfig(t, change), func(ctx caddy.Context) {
				if got := originAt(t, ctx, "https://payroll.contoso.example/"); got != "https://payroll.contoso.example" {
					t.Errorf("origin = %q", got)
				}
			})
			if err != nil {
				t.Errorf("loading: %v", err)
			}
		})
	}
}

// Without the app nothing of ours can work, and says so.
func TestHandlersWithoutTheAppDoNotLoad(t *testing.T) {
	for _, handler := range []string{"verified_id", "verified_id_strip"} {
		config := mustJSON(object{"apps": object{"http": object{"servers": object{"srv": object{
			"listen": []string{":443"}, "routes": []object{{"handle": []object{{"handler": handler}}}},
		}}}}})
		wantError(t, newMachine(t).load(t, config, nil), nil, "the global option verified_id", "missing")
	}
}
