// SPDX-License-Identifier: Apache-2.0

package claimheader_test

import (
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
)

// A name that the app folds into another, or that the proxy drops or rewrites on the way, undoes all stripping (TM-006). The error
// says what to write.
func TestHeaderNameIsChecked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		want string // part of the error; empty: allowed
	}{
		{"X-Verified-Id-Subject", ""},
		{"X-Employee-Name", ""},
		{"Remote-User", ""},
		{"REMOTE-USER", ""},
		{"User", ""},
		{"X-1", ""},
		{"Authorization", ""},
		{"X-Forwarded-User", ""},
		{"X-Forwarded-Email", ""},
		{"X-Forwarded-Groups", ""},
		{"x-forwarded-preferred-username", ""},

		{"", "write one, such as"},
		{"-", "neither letter nor digit"},
		{"---", "neither letter nor digit"},
		{"X_Employee", `write "X-Employee"`},
		{"X.Employee", `write "X-Employee"`},
		{"X-Employee Name", `write "X-Employee-Name"`},
		{"X-Employee:", `write "X-Employee-"`},
		{"X-Employee!", "not allowed"},
		{"X-Zoë", "not allowed"},
		{"X-A\r\nX-B", "not allowed"},
		{"X-A\x00", "not allowed"},

		{"Host", "decides which site"},
		{"host", "decides which site"},
		{"Connection", "belongs to one connection"},
		{"Keep-Alive", "belongs to one connection"},
		{"Proxy-Connection", "belongs to one connection"},
		{"Proxy-Authorization", "belongs to one connection"},
		{"TE", "belongs to one connection"},
		{"Trailer", "belongs to one connection"},
		{"Upgrade", "belongs to one connection"},
		{"Content-Length", "body of the request"},
		{"transfer-encoding", "body of the request"},
		{"Expect", "body of the request"},
		{"Cookie", "other cookies"},
		{"Set-Cookie", "responses"},
		{"Via", "how the request travelled"},
		{"Forwarded", "how the request travelled"},
		{"X-Forwarded", "how the request travelled"},
		{"X-Forwarded-For", "how the request travelled"},
		{"X-Forwarded-Proto", "how the request travelled"},
		{"x-forwarded-host", "how the request travelled"},
		{"X-Forwarded-Method", "how the request travelled"},
		{"X-Forwarded-Uri", "how the request travelled"},
		{"X-Forwarded-Users", "how the request travelled"},
		{"X-Forwarded-", "how the request travelled"},
	}
	for _, tt := range tests {
		err := claimheader.CheckName(tt.name)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("CheckName(%q) = %v, want nil", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("CheckName(%q) = %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

// Two names that the app cannot tell apart would be one header with two values (TM-006).
func TestHeaderNamesAreDistinctAfterFolding(t *testing.T) {
	t.Parallel()
	tests := []struct {
		names []string
		want  string
	}{
		{nil, ""},
		{[]string{"X-A", "X-B", "X-AB"}, ""},
		{[]string{"X-A", "X-B", "x-a"}, `"x-a" is the same as "X-A"`},
		{[]string{"X-A", "X-A"}, "is the same as"},
		{[]string{"X-A", "Host"}, "reserved"},
		{[]string{"X-A", "X_A"}, "not allowed"},
	}
	for _, tt := range tests {
		err := claimheader.CheckNames(tt.names)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("CheckNames(%q) = %v, want %q", tt.names, err, tt.want)
		}
	}
}

// An empty or too short prefix would delete headers that are none of ours (TM-006).
func TestHeaderPrefixIsChecked(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{
		"X-Verified-Id-": "",
		"Corp-":          "",
		"x-":             "would delete",
		"X-Forwarded-":   "would delete",
		"":               "is empty",
		"-":              "neither letter nor digit",
		"X-Corp":         `write "X-Corp-"`,
		"X_Corp-":        `write "X-Corp-"`,
		"Proxy-":         "would delete",
		"Set-":           "would delete",
	} {
		err := claimheader.CheckPrefix(prefix)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("CheckPrefix(%q) = %v, want %q", prefix, err, want)
		}
	}
}

// Whatever passes is a name that folding changes in case only.
func FuzzCheckName(f *testing.F) {
	for _, name := range []string{
		"X-Verified-Id-Subject", "x_y", "Host", "é", "", "-", "---", "X_Employee", "X.Employee", "X-Employee Name", "X-Employee:", "X-Employee!", "X-Zoë",
		"X-A\r\nX-B", "X-A\x00", "host", "Connection", "TE", "Transfer-Encoding", "transfer_encoding", "Content-Length", "Cookie", "Set-Cookie", "Via", "Forwarded",
		"X-Forwarded-For", "X-Forwarded-User", "X-Forwarded-", "Remote-User", "REMOTE-USER", "\u212aeep-Alive", "User", "X-1",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if claimheader.CheckName(name) == nil && !strings.EqualFold(claimheader.Fold(name), name) {
			t.Errorf("CheckName(%q) = nil, but it folds to %q", name, claimheader.Fold(name))
		}
	})
}
