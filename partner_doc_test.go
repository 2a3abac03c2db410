// SPDX-License-Identifier: Apache-2.0

package verifiedid_test

import (
	"strings"
	"testing"
)

// A partner's author copies the check from the documentation. What stands there is, to the letter, what the tests run. TM-094.
func TestChecksShownToPartnersAreThoseThatRun(t *testing.T) {
	t.Parallel()
	doc := string(readRepositoryFile(t, "docs/for-partners.md"))
	_, node, _ := strings.Cut(string(readRepositoryFile(t, "examples/partner-node/verify.mjs")), "\n\n") // the line before names the license
	_, example, _ := strings.Cut(string(readRepositoryFile(t, "idvredirect/example_test.go")), "\n\tcontoso := ")
	example, _, _ = strings.Cut("contoso := "+example, "\n\n\t// The visitor comes twice")
	for language, code := range map[string]string{"js": node, "go": strings.ReplaceAll(example, "\n\t", "\n") + "\n"} {
		if len(code) < 500 || !strings.Contains(doc, "```"+language+"\n"+code+"```\n") {
			t.Errorf("docs/for-partners.md does not show the check in %s as it is", language)
		}
	}
}
