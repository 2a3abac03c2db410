// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runCheck runs the command with the Caddyfile of testdata/check.
func runCheck(t *testing.T, claims string, args ...string) (string, error) {
	t.Helper()
	args = append([]string{"--config", "testdata/check/Caddyfile"}, args...)
	if claims != "" {
		file := filepath.Join(t.TempDir(), "claims.json")
		if err := os.WriteFile(file, []byte(claims), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--claims", file)
	}
	var out bytes.Buffer
	cmd := checkCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.Execute()
	return out.String(), err
}

const (
	anaOfSales = `{"credential": "employee", "face_score": 93, "verified": "2m",
		"claims": {"displayName": "Zoë", "mail": "ana@contoso.com", "department": "sales"}}`
	anaOfPayroll = `{"credential": "employee", "face_score": 93, "verified": "2m",
		"claims": {"displayName": "Ana", "mail": "ana@contoso.com", "department": "payroll"}}`
	payroll = "https://payroll.contoso.com"
)

// The answer names the gate, the rule and what the card has, and needs neither the config's secrets nor its proxies.
func TestCheckNamesTheRuleThatDecides(t *testing.T) {
	for name, test := range map[string]struct {
		claims string
		args   []string
		want   []string
	}{
		"nobody": {
			args: []string{"--site", payroll, "--path", "/app"},
			want: []string{"refuses, no_session", "there is no session", "led to the start page (303)", "outcome: refuse"},
		},
		"a script": {
			args: []string{"--site", payroll, "--path", "/app", "--header", "Accept: application/json"},
			want: []string{"problem+json (401)", "outcome: refuse"},
		},
		"a card": {
			claims: anaOfSales,
			args:   []string{"--site", payroll, "--path", "/app"},
			want:   []string{"card employee: accepted", "verified_id employee contractor: passes with employee", "X-Employee-Name: Zo%C3%AB", "outcome: pass"},
		},
		"a rule": {
			claims: anaOfSales,
			args:   []string{"--site", payroll, "--path", "/pay"},
			want:   []string{"refuses, required_claim", `employee: require department payroll finance, and the card says "sales"`, "outcome: refuse"},
		},
		"an age": {
			claims: strings.ReplaceAll(anaOfPayroll, "2m", "23m"),
			args:   []string{"--site", payroll, "--path", "/pay"},
			want:   []string{"max_age 10m, and it was presented 23m"},
		},
		"a face": {
			claims: strings.ReplaceAll(anaOfPayroll, "93", "85"),
			args:   []string{"--site", payroll, "--path", "/pay"},
			want:   []string{"face_check 90, and the score is 85"},
		},
		"a face below the credential's own bar": {
			claims: strings.ReplaceAll(anaOfSales, "93", "79"),
			args:   []string{"--site", payroll, "--path", "/app"},
			want:   []string{"card employee: not accepted, face_check_low", "refuses, no_session"},
		},
		"a session that is over": {
			claims: strings.ReplaceAll(anaOfSales, "2m", "9h"),
			args:   []string{"--site", payroll, "--path", "/app"},
			want:   []string{"the session has ended: it began 9h0m", "outcome: refuse"},
		},
		"an open path": {
			args: []string{"--site", payroll, "--path", "/app/health"},
			want: []string{"passes as nobody, the path is public", "outcome: pass"},
		},
		"another login": {
			claims: anaOfSales,
			args:   []string{"--site", "https://mail.contoso.com", "--set", "http.auth.user.id=ana"},
			want:   []string{"passes with employee", "outcome: pass"},
		},
		"another person": {
			claims: anaOfSales,
			args:   []string{"--site", "https://mail.contoso.com", "--set", "http.auth.user.id=bob"},
			want:   []string{"refuses, bind_mismatch", `bind mail {http.auth.user.id}@contoso.com, which is "bob@contoso.com", and the card says "ana@contoso.com"`},
		},
		"nobody else logged in": {
			claims: anaOfSales,
			args:   []string{"--site", "https://mail.contoso.com"},
			want:   []string{"refuses, bind_missing", "give it with --set"},
		},
		"no gate": {
			args: []string{"--site", "https://open.contoso.com"},
			want: []string{"NO GATE has seen this request"},
		},
		"outside all matchers": {
			args: []string{"--site", payroll, "--path", "/"},
			want: []string{"gate 1, verified_id employee: passes, its matcher does not match", "outcome: pass"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := runCheck(t, test.claims, test.args...)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("the answer lacks %q:\n%s", want, got)
				}
			}
		})
	}
}

// A pipeline fails when the outcome is not the expected one, and on every question that makes no sense.
func TestCheckFailsAPipeline(t *testing.T) {
	for name, test := range map[string]struct {
		claims string
		args   []string
		want   string
	}{
		"expected to pass":   {args: []string{"--site", payroll, "--path", "/app", "--expect", "pass"}, want: "expected pass, and the outcome is refuse"},
		"expected to refuse": {claims: anaOfSales, args: []string{"--site", payroll, "--path", "/app", "--expect", "refuse"}, want: "expected refuse, and the outcome is pass"},
		"expecting a word":   {args: []string{"--site", payroll, "--expect", "perhaps"}, want: "write pass or refuse"},
		"no address":         {args: []string{"--site", "payroll"}, want: "write https://host"},
		"no path":            {args: []string{"--site", payroll, "--path", "app"}, want: "must begin with a slash"},
		"no header":          {args: []string{"--site", payroll, "--header", "Accept"}, want: "write 'Name: value'"},
		"no assignment":      {args: []string{"--site", payroll, "--set", "x"}, want: "write name=value"},
		"no such credential": {claims: `{"credential": "boss"}`, args: []string{"--site", payroll, "--path", "/app"}, want: "the config has contractor, employee"},
		"a misspelt field":   {claims: `{"credential": "employee", "claim": {}}`, args: []string{"--site", payroll}, want: `unknown field "claim"`},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := runCheck(t, test.claims, test.args...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q; printed:\n%s", err, test.want, out)
			}
		})
	}
}
