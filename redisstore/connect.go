// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

const (
	// poolSize bounds the connections to one server. A call takes one for less than a millisecond.
	poolSize = 32

	// redirects is how often a cluster may send a call on to another node.
	redirects = 3
)

// connect makes the client. It connects when it is first asked.
func (s *settings) connect(groupReads bool) (redis.UniversalClient, error) {
	tlsConfig, err := s.tlsConfig(groupReads)
	if err != nil {
		return nil, err
	}
	options := &redis.UniversalOptions{
		Addrs: s.Addresses, MasterName: s.Sentinel, SentinelUsername: s.SentinelUsername, SentinelPassword: s.SentinelPassword,
		DB: s.Database, CredentialsProviderContext: s.credentials, Dialer: newDialer(tlsConfig, s.Plaintext).dial,
		Protocol: 2, MaxRedirects: redirects, PoolSize: poolSize, PipelinePoolSize: -1, ConnMaxIdleTime: patience.RedisIdle,
	}
	Prepare(options)
	if path, socket := socketPath(s.Addresses[0]); socket {
		options.Addrs = []string{path}
	}
	switch {
	case s.Cluster:
		return redis.NewClusterClient(options.Cluster()), nil
	case s.Sentinel != "":
		return redis.NewFailoverClient(options.Failover()), nil
	default:
		return redis.NewClient(options.Simple()), nil
	}
}

// credentials are asked for at each connection, so that a password is changed without a reload (TM-151).
func (s *settings) credentials(context.Context) (username, password string, err error) {
	if s.PasswordFile == "" {
		return s.Username, s.Password, nil
	}
	password, err = readPassword(s.PasswordFile)
	if err != nil {
		return "", "", fmt.Errorf("redis: %w", err)
	}
	return s.Username, password, nil
}
