// SPDX-License-Identifier: Apache-2.0

// Package redisstore is a [verifier.Store] for several nodes, in Redis or Valkey: a single server, Sentinel or a cluster.
package redisstore
