// SPDX-License-Identifier: Apache-2.0

// Package walletweb is a wallet as web pages: what stands for Microsoft Authenticator when
// there is no phone. It shows the cards of the emulator's wallet, the requests that wait, and
// for each request who asks, for what and which cards fit; the person shares with a Face Check
// score of their choice, declines, or plays one of a test person's tricks.
//
//	pages, err := walletweb.New(walletweb.Config{Emulator: e})
//	mux.Handle("/wallet", pages)
//	mux.Handle("/wallet/", pages)
//
// All paths are below /wallet. GET /wallet/open?link=openid-vc://… opens a request, as
// scanning its QR code does, and tells the relying party so.
//
// No system hands openid-vc links to a web page (browsers register no handler for a scheme
// without "web+" in front), so there are two ways in: a box for the link, and the list of
// waiting requests, which the emulator knows because it is the Request Service too. The list
// is the one that no newcomer has to be told about.
//
// Differences from Authenticator: there is no lock, no camera and no PIN of the phone; the
// Face Check's outcome is typed in; the page says what the relying party answered.
package walletweb
