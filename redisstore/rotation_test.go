// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// The store's password is changed while visitors come and go: the new one is added, written into the file, and the old one taken
// away. No visit fails, no config is reloaded, and connections made afterwards log in with the new one. TM-151.
func TestPasswordRotationUnderLoad(t *testing.T) {
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "test", "on", ">test", "~*", "&*", "+@all")
	server.Auth("test", "test")
	server.Do("ACL", "SETUSER", "default", "off")
	server.Do("ACL", "SETUSER", "verified-id", "on", ">old", "~*", "&*", "+@all")
	file := writeFile(t, "password", "old\n")
	store := openModule(t, "address "+server.Addr+"\nusername verified-id\npassword_file "+file)

	var visits, failed atomic.Int64
	visit := func(id string) {
		for _, step := range []func() error{
			func() error { return store.Create(t.Context(), requested(id)) },
			func() error { _, err := store.Update(t.Context(), id, retrieve); return err },
			func() error { _, err := store.Update(t.Context(), id, verified()); return err },
			func() error { return store.Delete(t.Context(), id) },
		} {
			if err := step(); err != nil {
				t.Errorf("visit %s: %v", id, err)
				failed.Add(1)
				return
			}
		}
		visits.Add(1)
	}
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					visit(fmt.Sprintf("%d-%d", worker, n))
				}
			}
		})
	}
	more := func(by int64) {
		t.Helper()
		from := visits.Load()
		eventually(t, patience, "more visits", func() error {
			if failed.Load() == 0 && visits.Load() < from+by {
				return fmt.Errorf("%d visits", visits.Load())
			}
			return nil
		})
	}
	more(50)
	server.Do("ACL", "SETUSER", "verified-id", ">new")
	more(50)
	if err := os.WriteFile(file+".next", []byte("new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".next", file); err != nil {
		t.Fatal(err)
	}
	more(50)
	server.Do("ACL", "SETUSER", "verified-id", "<old")
	more(50)
	close(stop)
	workers.Wait()

	// Now every connection is cut, so that all log in anew.
	server.Do("CLIENT", "KILL", "USER", "verified-id")
	eventually(t, patience, "a call with the new password", func() error {
		return store.Create(t.Context(), requested(fmt.Sprintf("after-%d", time.Now().UnixNano())))
	})
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	server.Do("CLIENT", "KILL", "USER", "verified-id")
	eventually(t, patience, "a file without a password to be noticed", func() error {
		if _, err := store.Get(t.Context(), "nobody"); err == nil || !isUnavailable(err) {
			return fmt.Errorf("Get = %w", err)
		}
		return nil
	})
	t.Logf("%d visits, %d failed", visits.Load(), failed.Load())
}

func isUnavailable(err error) bool { return errors.Is(err, verifier.ErrStoreUnavailable) }
