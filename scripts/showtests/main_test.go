// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

// A passing test prints a secret, which go test keeps to itself: the run fails, and says where without saying it again. TM-141.
func TestSecretOfAPassingTestFailsTheRun(t *testing.T) {
	t.Parallel()
	const secret = "eyJhbGciOiJSUzI1NiJ9.eyJPcmdJZCI6ImNvbnRvc28ifQ.c2lnbmF0dXJl"
	run := func(output string) (string, error) {
		var out strings.Builder
		err := show(strings.NewReader(`{"Action":"output","Package":"p","Test":"TestA","Output":"`+output+`\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"b.go:1: wrong\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
# a build error
`), &out)
		return out.String(), err
	}
	const usual = "b.go:1: wrong\nFAIL\tp\t0.1s\n# a build error\n"
	if out, err := run("nothing"); err != nil || out != usual {
		t.Errorf("show = %q, %v, want %q", out, err, usual)
	}
	if out, err := run("redirect to https://vu.example/?token=" + secret); err == nil || strings.Contains(out, secret) || !strings.HasPrefix(out, "p TestA tells a signed token") {
		t.Errorf("show = %q, %v", out, err)
	}
}
