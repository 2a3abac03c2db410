// SPDX-License-Identifier: Apache-2.0

package page

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

const (
	styleName  = "style.css"
	scriptName = "app.js"
	popupName  = "popup.js"
	iconName   = "icon.svg"
	logoName   = "logo"
)

// maxPicture bounds one picture in the configuration, in bytes.
const maxPicture = 256 << 10

// asset is a file of ours, ready to be written.
type asset struct {
	content     []byte
	contentType string
}

// pictureTypes are the media types that a data URI in the configuration may have.
var pictureTypes = []string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"}

var errPicture = errors.New("want a path on this site, or a base64 data URI of a PNG, JPEG, GIF, WebP or SVG of at most 256 KiB")

// loadAssets makes the style sheet with the configured colour and takes in the pictures of the configuration. A data URI becomes
// a file here, because html/template lets no data URI into a src attribute, and no exception is worth making.
func (r *Renderer) loadAssets(config Config) error {
	accent, err := parseColour(config.Colour)
	if err != nil {
		return fmt.Errorf("colour %q: %w", config.Colour, err)
	}
	r.assets = make(map[string]asset)
	for name, contentType := range map[string]string{
		styleName:  "text/css; charset=utf-8",
		scriptName: "text/javascript; charset=utf-8",
		popupName:  "text/javascript; charset=utf-8",
		AppScript:  "text/javascript; charset=utf-8",
		iconName:   "image/svg+xml",
	} {
		content, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			return fmt.Errorf("reading assets: %w", err)
		}
		switch name {
		case styleName:
			content = append(content, theme(accent)...)
		case AppScript:
			content = r.fillAppScript(content, accent)
		case iconName:
			content = []byte(strings.NewReplacer("#1d4ed8", accent.String(), "#fff", accent.foreground().String()).Replace(string(content)))
		}
		r.assets[name] = asset{content, contentType}
	}
	if r.logo, err = r.addPicture(logoName, config.Logo); err != nil {
		return fmt.Errorf("logo: %w", err)
	}
	r.partnerLogos = make(map[string]picture, len(config.PartnerLogos))
	for i, name := range slices.Sorted(maps.Keys(config.PartnerLogos)) {
		logo, err := r.addPicture("partner-"+strconv.Itoa(i+1), config.PartnerLogos[name])
		if err != nil {
			return fmt.Errorf("logo of partner %q: %w", name, err)
		}
		r.partnerLogos[name] = logo
	}
	r.digest = r.hashAssets()
	return nil
}

// picture is where a picture of the configuration is found: among our assets, or at a path of the site.
type picture struct{ asset, path string }

// addPicture takes in one picture under the given name, completed by its type.
func (r *Renderer) addPicture(name, source string) (picture, error) {
	if source == "" {
		return picture{}, nil
	}
	if path := localPath(source, ""); path != "" {
		return picture{path: path}, nil
	}
	rest, ok := strings.CutPrefix(source, "data:")
	if !ok {
		return picture{}, errPicture
	}
	mediaType, encoded, ok := strings.Cut(rest, ";base64,")
	if !ok || !slices.Contains(pictureTypes, mediaType) || base64.StdEncoding.DecodedLen(len(encoded)) > maxPicture+2 {
		return picture{}, errPicture
	}
	content, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(content) == 0 || len(content) > maxPicture {
		return picture{}, errPicture
	}
	extension, _, _ := strings.Cut(strings.TrimPrefix(mediaType, "image/"), "+")
	name += "." + extension
	r.assets[name] = asset{content, mediaType}
	return picture{asset: name}, nil
}

// hashAssets makes the part of the path that changes with the content of any file.
func (r *Renderer) hashAssets() string {
	hash := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(r.assets)) {
		fmt.Fprintf(hash, "%s %d\n", name, len(r.assets[name].content))
		hash.Write(r.assets[name].content)
	}
	return hex.EncodeToString(hash.Sum(nil)[:8])
}

// assetPath is where a page finds a file of ours.
func (r *Renderer) assetPath(base, name string) string {
	return base + "/assets/" + r.digest + "/" + name
}

// picturePath is where a page finds a picture of the configuration; empty when there is none.
func (r *Renderer) picturePath(base string, p picture) string {
	if p.asset != "" {
		return r.assetPath(base, p.asset)
	}
	return p.path
}

// ServeAsset writes the style sheet, the script or a picture. rest is the undecoded path after Base + "/assets/". It reports
// false, and has written nothing, when there is no such file.
//
// The path names the content, and the content is the same for everybody, so these are the only answers of ours that caches may
// keep (compare TM-104). While nodes of two versions stand behind one address, a page of one may ask the other for its
// files: it then gets the other's, uncached, instead of none.
func (r *Renderer) ServeAsset(w http.ResponseWriter, rest string) bool {
	digest, name, _ := strings.Cut(rest, "/")
	file, ok := r.assets[name]
	if !ok || !isDigest(digest) {
		return false
	}
	control := "public, max-age=31536000, immutable"
	if digest != r.digest {
		control = "no-store"
	}
	r.writeAsset(w, file, control)
	return true
}

func (r *Renderer) writeAsset(w http.ResponseWriter, file asset, cacheControl string) {
	h := w.Header()
	// A picture opened by itself, an SVG of the operator's above all, must not be able to do anything.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox")
	h.Set("Content-Type", file.contentType)
	h.Set("Content-Length", strconv.Itoa(len(file.content)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", cacheControl)
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write(file.content); err != nil {
		r.logger.Debug("writing asset", "error", err)
	}
}

// isDigest tells whether s could be another version's digest.
func isDigest(s string) bool {
	if len(s) != 16 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}
