// SPDX-License-Identifier: Apache-2.0

package redisstore

import "github.com/redis/go-redis/v9"

// Connect makes the client of a module that was provisioned, for stores with a clock of the test's.
func (m *Module) Connect() (redis.UniversalClient, error) { return m.settings.connect(false) }
