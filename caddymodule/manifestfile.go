// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/caddy-verified-id/caddy-verified-id/internal/contract"
)

// maxManifestFile bounds a manifest's file, in bytes.
const maxManifestFile = 1 << 20

// isManifestURL says whether the option manifest names an address; otherwise it is a file.
func isManifestURL(value string) bool { return strings.Contains(value, "://") }

// checkManifestName refuses an address that would never be fetched. Plain HTTP on this machine is judged at load, where
// insecure_loopback_http is known.
func checkManifestName(value string) error { return checkManifestURL(value, true) }

func checkManifestURL(value string, loopback bool) error {
	if !isManifestURL(value) {
		return nil
	}
	if err := contract.CheckURL(value, loopback); err != nil {
		return optionError("manifest", value, err.Error())
	}
	return nil
}

// withManifest is the credential with type and issuer of its manifest, if that is a file. What the config says too must be the same. Of an
// address it takes what the placeholders stand for.
func (a *App) withManifest(c *Credential) (*Credential, error) {
	if c == nil || c.Manifest == "" {
		return c, nil
	}
	path, err := resolve("manifest", c.Manifest)
	if err != nil {
		return nil, err
	}
	if isManifestURL(path) {
		out := *c
		out.Manifest = path
		return &out, checkManifestURL(path, a.InsecureLoopbackHTTP)
	}
	said, err := readManifestFile(path)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", path, err)
	}
	out := *c
	switch {
	case c.Type != "" && c.Type != said.Type:
		return nil, fmt.Errorf("manifest %s is of type %s, and type says %s; remove one of them", path, said.Type, c.Type)
	case len(c.Issuers) > 0 && !slices.Equal(c.Issuers, []string{said.Issuer}):
		return nil, fmt.Errorf("manifest %s is by %s, and issuer says %s; remove one of them", path, said.Issuer, strings.Join(c.Issuers, ", "))
	}
	out.Type, out.Issuers = said.Type, []string{said.Issuer}
	return &out, nil
}

func readManifestFile(path string) (*contract.Contract, error) {
	f, err := os.Open(path) //nolint:gosec // a path from the config
	if err != nil {
		return nil, fmt.Errorf("%w; correct the path, or make the file readable", withoutPath(err))
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxManifestFile+1))
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case len(content) > maxManifestFile:
		return nil, errors.New("it is larger than 1 MiB, so it is no manifest")
	}
	return contract.Parse(content)
}
