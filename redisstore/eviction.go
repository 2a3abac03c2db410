// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// warnOfEviction tells the operator if the server throws out keys when its memory is full: then visits, marks and logouts can be lost
// before their time. A server that does not say is not asked again; managed ones often do not.
func (s *Store) warnOfEviction(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience.RedisCall)
	defer cancel()
	check := func(ctx context.Context, client redis.Cmdable) error {
		info, err := client.Info(ctx, "memory").Result()
		if err != nil {
			return err
		}
		if policy, evicts := evictionPolicy(info); evicts {
			s.logger.Warn("the server of the store may drop keys when its memory is full; set its maxmemory-policy to noeviction", "policy", policy)
		}
		return nil
	}
	var err error
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, client *redis.Client) error { return check(ctx, client) })
	} else {
		err = check(ctx, s.client)
	}
	if err != nil {
		s.logger.Debug("the server of the store does not say what it does when its memory is full")
	}
}

// evictionPolicy reads the answer to INFO memory.
func evictionPolicy(info string) (policy string, evicts bool) {
	limit := ""
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "maxmemory":
			limit = value
		case "maxmemory_policy":
			policy = value
		}
	}
	return policy, limit != "0" && policy != "" && policy != "noeviction"
}
