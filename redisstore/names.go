// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// hashSize is how many characters a hashed name has: HMAC-SHA256 in base64url.
const hashSize = 43

// names makes the names of keys. Whatever comes from outside is hashed with a key, so that it is no pattern, separator or slot, and
// who reads the names cannot try what he guesses. The braces say what must be in one slot of a cluster.
type names struct {
	prefix string
	key    []byte

	// Counters of the caps. One slot for all: a cap is of the whole, and counting is the cheapest thing that is done.
	pending string

	// Revocations: sealed values by hash, the order in which they came, when they end, and the number of the last.
	revoked, revokedOrder, revokedEnds, revokedState string

	// changes is the channel on which the nodes tell each other. In a cluster its slot says to which node they connect: to that of
	// the revocations, so that its fail-over is noticed.
	changes string
}

func newNames(prefix string, key []byte) names {
	return names{
		prefix: prefix, key: key,
		pending: prefix + ":{pending}",
		revoked: prefix + ":{revoked}:values", revokedOrder: prefix + ":{revoked}:order", revokedEnds: prefix + ":{revoked}:ends",
		revokedState: prefix + ":{revoked}:state",
		changes:      prefix + ":{revoked}:changes",
	}
}

// hash hides a name. Its kind keeps equal names of different things apart.
func (n *names) hash(kind, name string) string {
	mac := hmac.New(sha256.New, n.key)
	mac.Write([]byte(kind))
	mac.Write([]byte{0})
	mac.Write([]byte(name))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// transaction returns the hash of a transaction's ID, and the key of the entry.
func (n *names) transaction(id string) (hash, key string) {
	hash = n.hash("transaction", id)
	return hash, n.prefix + ":t:{" + hash + "}"
}

func (n *names) mark(name string) string { return n.prefix + ":m:{" + n.hash("mark", name) + "}" }

// client is the counter of one client's transactions, in the slot of all counters.
func (n *names) client(client string) string {
	return n.pending + ":" + n.hash("client", client)
}
