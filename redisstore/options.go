// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// callTimeout bounds every call of the store, however many commands it takes: a visitor hears of an outage before he thinks of one.
const callTimeout = 400 * time.Millisecond

// Prepare sets what a [Store] demands of its client, whatever else the options say. It is for [redis.NewUniversalClient].
func Prepare(options *redis.UniversalOptions) {
	// Calls end with their context, and no later than this. A connection may take longer: it is made for the next call then.
	options.ContextTimeoutEnabled = true
	options.ReadTimeout, options.WriteTimeout, options.PoolTimeout = callTimeout, callTimeout, callTimeout
	options.DialTimeout, options.FailingTimeoutSeconds = time.Second, 1

	// Whether a command may be repeated, the store knows and the client does not.
	options.MaxRetries, options.DialerRetries = -1, 1

	// All reads are of the master: a replica may not have heard yet that a result was taken.
	options.ReadOnly, options.RouteByLatency, options.RouteRandomly = false, false, false

	// Servers of other makes refuse the commands behind these.
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}
