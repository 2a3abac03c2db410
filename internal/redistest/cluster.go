// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redistest

import (
	"net"
	"strings"
	"testing"
	"time"
)

// StartCluster runs a Redis Cluster of n masters without replicas, which share the slots evenly, and waits until each of them says that
// the cluster is up.
func StartCluster(t testing.TB, n int) []*Server {
	t.Helper()
	const slots = 16384
	servers := make([]*Server, n)
	for i := range servers {
		servers[i] = Start(t, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000")
		servers[i].Do("CLUSTER", "ADDSLOTSRANGE", i*slots/n, (i+1)*slots/n-1)
	}
	for _, server := range servers[1:] {
		host, port, err := net.SplitHostPort(servers[0].Addr)
		if err != nil {
			t.Fatalf("address %q: %v", servers[0].Addr, err)
		}
		server.Do("CLUSTER", "MEET", host, port)
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, server := range servers {
		for {
			info, _ := server.Do("CLUSTER", "INFO").(string)
			slots, _ := server.Do("CLUSTER", "SLOTS").([]any)
			if strings.Contains(info, "cluster_state:ok") && len(slots) == n {
				break
			}
			select {
			case <-tick.C:
			case <-deadline.C:
				t.Fatalf("the cluster did not come up:\n%s", info)
			}
		}
	}
	return servers
}
