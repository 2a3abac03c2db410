// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redistest

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// MasterName is what the sentinel of [StartSentinel] calls its master.
const MasterName = "main"

// StartSentinel runs a master, a replica of it, and a sentinel that makes the replica the master half a second after it has lost the
// other. It waits until the replica has everything and the sentinel knows it.
func StartSentinel(t testing.TB) (master, replica, sentinel *Server) {
	t.Helper()
	master = Start(t)
	host, port, err := net.SplitHostPort(master.Addr)
	if err != nil {
		t.Fatalf("address %q: %v", master.Addr, err)
	}
	replica = Start(t, "--replicaof", host+" "+port)
	sentinel = start(t, fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]s 1\nsentinel down-after-milliseconds %[1]s 500\nsentinel failover-timeout %[1]s 2000\n",
		MasterName, host, port), []string{"--sentinel"})
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		replication := fmt.Sprint(replica.Do("INFO", "replication"))
		known := fmt.Sprint(sentinel.Do("INFO", "sentinel"))
		if strings.Contains(replication, "master_link_status:up") && strings.Contains(known, "slaves=1") {
			return master, replica, sentinel
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("the sentinel does not know the replica:\n%s\n%s", replication, known)
		}
	}
}
