// SPDX-License-Identifier: Apache-2.0

// Package verifiertest holds what a Go test needs around package verifier.
//
// A [verifier.Store] of one's own is tested with three lines:
//
//	func TestMyStore(t *testing.T) {
//		verifiertest.TestStore(t, func(t *testing.T, now func() time.Time, maxPending, maxPerClient int) verifier.Store {
//			return newMyStore(t, now, maxPending, maxPerClient)
//		})
//	}
//
// A relying party is tested against a running emulator of the Request Service, with real signatures:
//
//	server := verifiertest.NewServer(t)
//	client := server.Client()
//	// … client.CreatePresentationRequest, then server.Share(link, emulator.ShareOptions{FaceScore: 93})
package verifiertest
