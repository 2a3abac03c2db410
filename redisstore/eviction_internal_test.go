// SPDX-License-Identifier: Apache-2.0

package redisstore

import "testing"

func TestEvictionPolicy(t *testing.T) {
	t.Parallel()
	for info, want := range map[string]bool{
		"# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n":     false,
		"# Memory\r\nmaxmemory:1000\r\nmaxmemory_policy:noeviction\r\n":   false,
		"# Memory\r\nmaxmemory:1000\r\nmaxmemory_policy:volatile-ttl\r\n": true,
		"# Memory\r\nmaxmemory_policy:allkeys-lfu\r\n":                    true,
		"":                                 false,
		"# Memory\r\nused_memory:1000\r\n": false,
	} {
		if _, evicts := evictionPolicy(info); evicts != want {
			t.Errorf("%q evicts: %v, want %v", info, evicts, want)
		}
	}
}
