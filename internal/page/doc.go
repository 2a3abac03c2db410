// SPDX-License-Identifier: Apache-2.0

// Package page renders everything a visitor of the gate sees: the choice of a card, the QR code and the link to the wallet,
// what went wrong and what to do about it, who they are, and signing out.
//
// It stands at the end of the flow and decides nothing: a caller fills a view ([Start], [Wait], [Refused], …) and the
// [Renderer] writes status, security headers and HTML. It knows no request, so it cannot reflect one (TM-100): whatever is
// shown comes from the view, the configuration or the message catalogue. It does not import Caddy.
//
//	pages, err := page.New(page.Config{Brand: "Contoso Payroll", Colour: "#0f5132"})
//	…
//	pages.Wait(w, page.Wait{Transaction: id, State: page.StateCreated, DeepLink: link, ExpiresIn: 5 * time.Minute})
//
// # Without scripts
//
// Each page works without JavaScript: everything that acts is a form, and the waiting page reloads itself. The script only
// listens instead of reloading, counts down, and presses "Continue" for the visitor.
//
// # Templates of the operator
//
// [Config.TemplatesDir] may hold files named like ours (see [TemplateNames]), each replacing the one of that name, and a
// messages.json, whose texts replace ours one by one; with "lang" and "dir" set in it, it makes another language. The
// templates are html/template with no functions of our own, parsed and rendered once with sample values when the
// configuration loads: a broken one is an error that names its file. A template sees
//
//	.T      the texts, by key: {{.T.start_title}}, {{printf .T.step 1 3}}
//	.Meta   the [Meta] of the page
//	.Page   the view itself, for example [Start]
//	.Brand, .Logo, .Lang, .Dir, .Style, .Script, .Icon   what the frame of a page needs
//
// and may show what it likes of it, but no inline script or style and no foreign resource: the Content-Security-Policy
// forbids them (TM-101, TM-103).
package page
