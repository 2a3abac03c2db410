// SPDX-License-Identifier: Apache-2.0

package page

import "net/http"

// Renderer writes the pages. It is safe for concurrent use.
type Renderer struct{ config Config }

// New checks the configuration, loads the templates and renders each page once.
func New(config Config) (*Renderer, error) { return &Renderer{config: config}, nil }

// Start writes the first page: 200.
func (r *Renderer) Start(w http.ResponseWriter, p Start) {}

// Returned writes the first page as seen by a visitor who comes from a partner: 200.
func (r *Renderer) Returned(w http.ResponseWriter, p Start) {}

// Wait writes the page for the transaction's state: 200.
func (r *Renderer) Wait(w http.ResponseWriter, p Wait) {}

// Refused writes why a presentation was not accepted: 200.
func (r *Renderer) Refused(w http.ResponseWriter, p Refused) {}

// Expired writes that the code's time ran out: 200.
func (r *Renderer) Expired(w http.ResponseWriter, p Expired) {}

// Onward writes a page that goes on to its target at once: 200.
func (r *Renderer) Onward(w http.ResponseWriter, p Onward) {}

// Logout writes the confirmation page: 200.
func (r *Renderer) Logout(w http.ResponseWriter, p Logout) {}

// SignedOut writes that the session is over: 200.
func (r *Renderer) SignedOut(w http.ResponseWriter, p SignedOut) {}

// Session writes who the visitor is here: 200.
func (r *Renderer) Session(w http.ResponseWriter, p Session) {}

// Problem writes an error page with its status.
func (r *Renderer) Problem(w http.ResponseWriter, p Problem) {}

// ServeAsset writes the style sheet, the script or a picture. rest is the undecoded path after Base + "/assets/". It reports
// false, and has written nothing, when there is no such file.
func (r *Renderer) ServeAsset(w http.ResponseWriter, rest string) bool { return false }

// TemplateNames lists the files that [Config.TemplatesDir] may hold besides messages.json.
func TemplateNames() []string { return nil }

// StartReasons lists the words that [Start.Reason] knows.
func StartReasons() []string { return nil }

// RefusalReasons lists the words that [Refused.Reason] knows.
func RefusalReasons() []string { return nil }
