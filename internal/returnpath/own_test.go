// SPDX-License-Identifier: Apache-2.0

package returnpath_test

import (
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/returnpath"
)

// A visitor whose destination is the logout page is logged out by verifying; one whose destination is the start page goes round in
// circles. Only one spelling is ours, but something before the gate may make another into it (TM-084).
func TestReturnToOwnEndpoint(t *testing.T) {
	t.Parallel()
	const base = "/.verified-id"
	for _, path := range []string{
		"/.verified-id", "/.verified-id/", "/.verified-id/logout", "/.verified-id/start?x=y", "/.verified-id?x", "/.verified-id#x",
		"/.VERIFIED-ID/logout", "/.Verified-Id",
		"/%2everified-id/logout", "/%2Everified%2Did", "/.verified-id%2Flogout", "/%2e%76%65%72%69%66%69%65%64%2d%69%64/logout",
		"/%252everified-id/logout", "/%25252everified-id/logout", "/%2525252everified-id",
		"//.verified-id/logout", "///.verified-id", "/%2f.verified-id", "/%2F%2F.verified-id//logout",
		`/\.verified-id/logout`, `\.verified-id`, "/%5C.verified-id", "/.verified-id%5clogout",
		"/./.verified-id", "/a/../.verified-id/logout", "/a/b/../../.verified-id", "/../.verified-id", "/a/%2e%2e/.verified-id",
		"/a%2f..%2f.verified-id", "/.verified-id/x/..", "/.verified-id/./logout", "/a/..%252f.verified-id",
		"/.verified-id;a=b/logout", "/.verified-id;", "/;x/.verified-id", "/a/..;/.verified-id", "/.verified-id%3bx",
		"/%2everified-id/%zz", "/%252everified-id/%25zz",
	} {
		if !returnpath.Own(path, base) {
			t.Errorf("Own(%q) = false, want true", path)
		}
	}
	for _, path := range []string{
		"", "/", "/a", "/verified-id", "/.verified", "/.verified-identity", "/.verified-id2", "/.verified-id.html", "/a/.verified-id",
		"/?next=/.verified-id/logout", "/a#/.verified-id", "/.verified-id/../a", "/.verified-id/..", "/a.verified-id", "/%zz", "/a;/.verified-id/..",
	} {
		if returnpath.Own(path, base) {
			t.Errorf("Own(%q) = true, want false", path)
		}
	}
}

func TestOwnWithOtherBase(t *testing.T) {
	t.Parallel()
	tests := []struct {
		path, base string
		want       bool
	}{
		{"/Sign/In/start", "/sign/in", true},
		{"/sign/in/start", "/Sign/In/", true},
		{"/sign/inside", "/sign/in", false},
		{"/sign", "/sign/in", false},
		{"/anything", "", false},
	}
	for _, tt := range tests {
		if got := returnpath.Own(tt.path, tt.base); got != tt.want {
			t.Errorf("Own(%q, %q) = %t, want %t", tt.path, tt.base, got, tt.want)
		}
	}
}

// Own takes any string, also one that Check would not. A dot segment in front changes nothing.
func FuzzOwn(f *testing.F) {
	f.Add("/.verified-id/logout")
	f.Add("/a/..%252f.verified-id")
	f.Add("/%zz")
	f.Fuzz(func(t *testing.T, path string) {
		if path != "" && path[0] == '/' && returnpath.Own(path, "/.verified-id") != returnpath.Own("/."+path, "/.verified-id") {
			t.Errorf("Own(%q) = %t, but not with /. in front", path, returnpath.Own(path, "/.verified-id"))
		}
	})
}
