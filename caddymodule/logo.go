// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

const maxLogoBytes = 256 << 10

// logoTypes are the media types of logos, by the ending of the file's name.
var logoTypes = map[string]string{".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}

func checkLogoName(path string) error {
	if _, ok := logoTypes[strings.ToLower(filepath.Ext(path))]; !ok {
		return optionError("logo", path, "must be an .svg, .png or .jpg file")
	}
	return nil
}

// logoDataURI reads a logo at load time and inlines it, so that pages need no further request and no foreign origin.
func logoDataURI(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	if err := checkLogoName(path); err != nil {
		return "", err
	}
	content, err := readLogo(path)
	if err != nil {
		return "", fmt.Errorf("logo %q: %w", path, err)
	}
	mediaType := logoTypes[strings.ToLower(filepath.Ext(path))]
	if !looksLike(content, mediaType) {
		return "", optionError("logo", path, "holds no "+mediaType+"; convert it, or correct the ending of its name")
	}
	return "data:" + mediaType + ";base64," + base64.StdEncoding.EncodeToString(content), nil
}

func readLogo(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // a path from the config
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxLogoBytes+1))
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case len(content) > maxLogoBytes:
		return nil, errors.New("it is larger than 256 KiB; make it smaller, pages load it on phones")
	}
	return content, nil
}

// looksLike compares the content with what the name promises, so that a wrong file is found at load and not by visitors.
func looksLike(content []byte, mediaType string) bool {
	if mediaType == "image/svg+xml" {
		return bytes.Contains(content, []byte("<svg"))
	}
	return http.DetectContentType(content) == mediaType
}

// withoutPath is the cause of a file error, for texts that name the file themselves or must not.
func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
