// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// Prepare sets what a [Store] demands of its client, whatever else the options say. It is for [redis.NewUniversalClient].
func Prepare(options *redis.UniversalOptions) {
	// Calls end with their context, and no later than this. A connection may take longer: it is made for the next call then.
	options.ContextTimeoutEnabled = true
	options.ReadTimeout, options.WriteTimeout = patience.RedisCall, patience.RedisCall
	// Less than a call: who has waited for a connection in vain must not take that for a silent server.
	options.PoolTimeout = patience.RedisCall * 3 / 4
	options.DialTimeout, options.FailingTimeoutSeconds = patience.RedisConnect, 1

	// Whether a command may be repeated, the store knows and the client does not.
	options.MaxRetries, options.DialerRetries = -1, 1

	// All reads are of the master: a replica may not have heard yet that a result was taken.
	options.ReadOnly, options.RouteByLatency, options.RouteRandomly = false, false, false

	// Servers of other makes refuse the commands behind these.
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}
