// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"crypto/sha1" //nolint:gosec // x5t is defined with SHA-1
	"crypto/x509"
	"encoding/base64"
)

// sha1Thumbprint is the old way to name a certificate.
func sha1Thumbprint(certificate *x509.Certificate) string {
	sum := sha1.Sum(certificate.Raw) //nolint:gosec // see the import
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
