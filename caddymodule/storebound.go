// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// The calls to the store, whoever wrote it: each is over after [patience.Store], and what is no answer is an outage. A time-out
// taken for "there is no such transaction" would tell the service that its result is of no use, and the visitor to start again.

// Create implements verifier.Store.
func (s *sharedStore) Create(ctx context.Context, t verifier.Transaction) error {
	ctx, cancel := context.WithTimeout(ctx, patience.Store)
	defer cancel()
	return outage(s.Store.Create(ctx, t))
}

// Get implements verifier.Store.
func (s *sharedStore) Get(ctx context.Context, id string) (verifier.Transaction, error) {
	ctx, cancel := context.WithTimeout(ctx, patience.Store)
	defer cancel()
	t, err := s.Store.Get(ctx, id)
	return t, outage(err)
}

// Update implements verifier.Store.
func (s *sharedStore) Update(ctx context.Context, id string, move func(*verifier.Transaction) error) (verifier.Transaction, error) {
	ctx, cancel := context.WithTimeout(ctx, patience.Store)
	defer cancel()
	var moved error
	t, err := s.Store.Update(ctx, id, func(t *verifier.Transaction) error {
		moved = move(t)
		return moved
	})
	if moved != nil && errors.Is(err, moved) {
		return t, err
	}
	return t, outage(err)
}

// Delete implements verifier.Store.
func (s *sharedStore) Delete(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, patience.Store)
	defer cancel()
	return outage(s.Store.Delete(ctx, id))
}

// Watch implements verifier.Store. The watch itself lasts as long as its context.
func (s *sharedStore) Watch(ctx context.Context, id string) (<-chan struct{}, error) {
	changes, err := s.Store.Watch(ctx, id)
	return changes, outage(err)
}

// Mark implements verifier.Store.
func (s *sharedStore) Mark(ctx context.Context, name string, until time.Time) (first bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience.Store)
	defer cancel()
	first, err = s.Store.Mark(ctx, name, until)
	return first && err == nil, outage(err)
}

// Revoke implements verifier.Store.
func (s *sharedStore) Revoke(ctx context.Context, r verifier.Revocation) error {
	ctx, cancel := context.WithTimeout(ctx, patience.Store)
	defer cancel()
	return outage(s.Store.Revoke(ctx, r))
}

// storeAnswers are the errors by which a store says that it works.
var storeAnswers = []error{
	verifier.ErrNotFound, verifier.ErrExists, verifier.ErrFull, verifier.ErrClientFull, verifier.ErrExpired, verifier.ErrStoreUnavailable,
}

// outage is the error as it is if it is an answer, and else an outage.
func outage(err error) error {
	if err == nil || slices.ContainsFunc(storeAnswers, func(answer error) bool { return errors.Is(err, answer) }) {
		return err
	}
	return fmt.Errorf("%w: %w", verifier.ErrStoreUnavailable, err)
}
