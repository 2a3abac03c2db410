// SPDX-License-Identifier: Apache-2.0

// Package frame is what the emulator's pages have in common: the banner that says they are
// not the real thing, the layout, the style sheet, the few lines of script, and the security
// headers.
//
// A page is an HTML template that defines "content". [Parse] reads a folder of them and
// [Pages.Write] sends one:
//
//	//go:embed pages
//	var files embed.FS
//
//	pages, err := frame.Parse(files, "pages", frame.Role{Name: "Wallet", Stands: "Microsoft Authenticator"}, "/wallet/")
//	…
//	pages.Write(w, http.StatusOK, "cards", frame.Head{Title: "Cards"}, cards)
//
// Every page works without JavaScript; the script only spares people the reloading.
// The look is deliberately unlike that of the gate's own pages, so that nobody takes one for
// the other in a screenshot.
package frame
