// SPDX-License-Identifier: Apache-2.0

package verifiedid_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repositoryFiles are the files that git knows or would know, so that what a build left behind is not judged. Outside a
// git checkout, as in a module downloaded by xcaddy, every file is ours.
func repositoryFiles(t *testing.T) []string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	if stdout, err := list.Output(); err == nil {
		return strings.FieldsFunc(string(stdout), func(r rune) bool { return r == 0 })
	}

	var files []string
	err := filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && !strings.HasPrefix(path, ".bin") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatalf("listing the files: %v", err)
	}
	return files
}

// readRepositoryFile reads a listed file; one that is listed but deleted from the work tree is nil.
func readRepositoryFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return content
}

func TestGoFilesNameTheirLicense(t *testing.T) {
	t.Parallel()
	const license = "// SPDX-License-Identifier: Apache-2.0\n\n"
	for _, name := range repositoryFiles(t) {
		if filepath.Ext(name) != ".go" {
			continue
		}
		if content := readRepositoryFile(t, name); content != nil && !bytes.HasPrefix(content, []byte(license)) {
			t.Errorf("%s does not begin with %q and a blank line", name, strings.TrimSpace(license))
		}
	}
}

// A path of somebody's machine in a file works for that person only, and tells more about them than it should.
func TestNoMachinePaths(t *testing.T) {
	t.Parallel()
	checkout, err := os.Getwd()
	if err != nil {
		t.Fatalf("asking for the working directory: %v", err)
	}
	paths := []string{"/" + "root/", "/" + "Users/", "/" + "work/", "C:" + `\Users`, checkout}

	for _, name := range repositoryFiles(t) {
		content := readRepositoryFile(t, name)
		if bytes.IndexByte(content, 0) >= 0 {
			continue // a picture
		}
		lines := bufio.NewScanner(bytes.NewReader(content))
		lines.Buffer(nil, len(content)+1)
		for number := 1; lines.Scan(); number++ {
			for _, path := range paths {
				if strings.Contains(lines.Text(), path) {
					t.Errorf("%s:%d: names the machine path %s", name, number, path)
				}
			}
		}
	}
}

// A README that takes more than a sitting is not read; what does not fit has a place of its own.
func TestREADMEIsShort(t *testing.T) {
	t.Parallel()
	const limit = 250
	content, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	if lines := bytes.Count(content, []byte("\n")); lines > limit {
		t.Errorf("README.md has %d lines, more than %d", lines, limit)
	}
}
