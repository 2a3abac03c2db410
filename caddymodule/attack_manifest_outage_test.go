// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// hangingStorage does not answer when it is asked for an entry.
type hangingStorage struct {
	certmagic.Storage
	asked atomic.Int32
}

func (s *hangingStorage) Load(ctx context.Context, _ string) ([]byte, error) {
	s.asked.Add(1)
	<-ctx.Done()
	return nil, ctx.Err()
}

// Caddy's storage hangs on a node that does not know yet what is pinned. Visitors queued for it, ten seconds each: the hundredth heard after
// a quarter of an hour that nobody can begin, and who left stayed in the queue. Now all hear it within the same few seconds, one look
// serves them all, and who leaves is gone at once.
func TestHangingStorageDoesNotQueueVisitors(t *testing.T) {
	p := newPublisher(t)
	n := learningNode(t, p, "", nil)
	sound := n.pin().storage
	storage := &hangingStorage{Storage: sound}
	n.pin().storage = storage
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		leaving, leave := context.WithCancel(t.Context())
		heard := make(chan error)
		for i := range 100 {
			ctx := t.Context()
			if i%2 == 0 {
				ctx = leaving
			}
			go func() {
				_, err := n.pin().ready(ctx)
				heard <- err
			}()
		}
		synctest.Wait()
		leave()
		for i := range 100 {
			if err := <-heard; err == nil {
				t.Error("somebody begins")
			}
			if took := time.Since(began); i < 50 && took != 0 || took > patience.Manifest {
				t.Errorf("visitor %d, of whom the first 50 have left, has heard after %s", i, took)
			}
		}
		if asked := storage.asked.Load(); asked != 1 {
			t.Errorf("the storage was asked %d times at once", asked)
		}
		<-time.After(patience.Storage) // of a fake clock: the look ends
		synctest.Wait()
	})
	n.pin().storage = sound
	if w, ok := n.starts(t); !ok {
		t.Errorf("after the outage: status %d\n%s", w.Code, w.Body)
	}
}
