// SPDX-License-Identifier: Apache-2.0

package emulator

import "github.com/decred/dcrd/dcrec/secp256k1/v4"

// negated is the order of secp256k1 minus s.
func negated(s []byte) []byte {
	var scalar secp256k1.ModNScalar
	scalar.SetByteSlice(s)
	b := scalar.Negate().Bytes()
	return b[:]
}
