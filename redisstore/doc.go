// SPDX-License-Identifier: Apache-2.0

// Package redisstore is a [verifier.Store] for several nodes, in Redis 6.2 or later or Valkey: a single server, Sentinel or a cluster.
//
//	options := &redis.UniversalOptions{Addrs: []string{"redis.example:6379"}}
//	redisstore.Prepare(options)
//	store, err := redisstore.New(redisstore.Config{Client: redis.NewUniversalClient(options), NameKey: key, Sealer: sealer})
//
// # What is kept there
//
// Names are hashed with a key and values are sealed for their place, so a reader of the server learns no cookie, key, claim or address,
// and a writer makes no result. He can remove entries, which means "verify again", and put back what was in the same place before, which
// is what a fail-over does too; see below. Every key has a time to live.
//
//	<prefix>:t:{<hash of the ID>}           a transaction, until its KeepUntil
//	<prefix>:m:{<hash of the name>}         a one-time mark
//	<prefix>:{pending}[:<hash of a client>] which transactions there are, in all and of one client, by the end of each
//	<prefix>:{revoked}:…                    revocations, in the order in which they came
//	<prefix>:{revoked}:changes              a channel of hints; what is said there is never believed, only looked after
//
// No request scans keys. All keys of one command are in one slot of a cluster, so a transaction and the counters that it is in change one
// after the other. A process that dies in between leaves a place taken until the transaction would have ended, and no longer.
//
// A user of the server needs, for the default prefix, these rules of an access list, and +info to be warned of eviction; in a cluster
// +cluster|slots, +command and +asking too:
//
//	~verified-id:* &verified-id:* +get +set +del +eval +evalsha +publish +subscribe +ping +pttl +pexpire
//	+hget +hmget +hset +hsetnx +hincrby +hdel +zadd +zrem +zscore +zcard +zrangebyscore +zremrangebyscore
//
// # When the server does not answer
//
// Every call ends within half a second, with an error that wraps [verifier.ErrStoreUnavailable]; after some failures in a row calls fail
// at once, and one at a time tries whether the server is back. A transaction that could not be changed for certain may have been
// changed, and a mark that could not be set for certain has no first.
//
// # What a server may lose
//
// Redis answers before what it was told is on its disk or its replicas: a crash or a fail-over can lose about the last second, and one
// that keeps nothing on disk loses all. What that means for what must happen once:
//
//   - A transaction that is lost must be started again.
//   - A transaction that falls back from consumed to verified can be finished once more within [verifier.FinishGrace], by the browser that
//     has its binding cookie, so by the same visitor. The caller must make the same session of it, by a name that follows from the
//     transaction, so that what has ended the first ends the second. One that falls back from verified takes the same callback again, by
//     its key.
//   - No one-time mark guards anything today. One may be used only for what ends with the transaction, or is harmless for the time that
//     was lost, because a lost mark has a first again.
//   - A revocation that is lost stays in force in every process that has heard of it.
//
// A server that evicts keys when its memory is full loses them at any time: it must have the maxmemory-policy noeviction. The store warns
// of another one when it connects.
//
// The clock of the nodes decides what has ended. That of the server only clears away, by times to live.
package redisstore
