// SPDX-License-Identifier: Apache-2.0

//go:build !race

package e2e_test

// raceDetector tells whether the tests, and so the server, are built with the race detector.
const raceDetector = false
