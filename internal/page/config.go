// SPDX-License-Identifier: Apache-2.0

package page

import "log/slog"

// Config is how the pages look and speak. The zero value is usable.
type Config struct {
	// Name shown at the top of each page. Empty: the site's name alone.
	Brand string
	// Picture shown beside the brand: a data URI (PNG, JPEG, GIF, WebP or SVG, base64, at most 256 KiB), which is then served among
	// our assets, or a path on the same site. Foreign origins are refused (TM-103). Empty: none.
	Logo string
	// Pictures of partners by [Partner.Name]; the same rules as for Logo.
	PartnerLogos map[string]string
	// Accent colour as #rrggbb. Text on it is black or white, whichever reads better; as a colour of text it is lightened or darkened
	// until it reads well. Default: #1d4ed8.
	Colour string
	// Language of the texts: en or de. Default: en.
	Language string
	// Directory with templates that replace ours, and with messages.json; see the package comment. Empty: none.
	TemplatesDir string
	// Where failures while rendering are told. Nil: nowhere.
	Logger *slog.Logger
}
