// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const maxLogoBytes = 256 << 10

// logoDataURI reads a logo at load time and inlines it, so that pages need no further request and no foreign origin.
func logoDataURI(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	mediaType, ok := map[string]string{".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}[strings.ToLower(filepath.Ext(path))]
	if !ok {
		return "", fmt.Errorf("%q: use an .svg, .png or .jpg file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxLogoBytes+1))
	if err != nil {
		return "", err
	}
	if len(content) > maxLogoBytes {
		return "", fmt.Errorf("%q is larger than 256 KiB", path)
	}
	return "data:" + mediaType + ";base64," + base64.StdEncoding.EncodeToString(content), nil
}
