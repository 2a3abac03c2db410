// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"encoding/json"
	"fmt"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
)

const (
	stateVersion  = 1
	maxStateBytes = 256 << 10
)

// keySetState is the stored form. It holds private keys.
type keySetState struct {
	Version int        `json:"version"`
	Keys    []keyState `json:"keys"`
}

type keyState struct {
	PEM           string     `json:"pem"`
	PublishedFrom time.Time  `json:"published_from"`
	SignsFrom     *time.Time `json:"signs_from,omitempty"`
}

// MarshalJSON returns the set with its private keys, to be kept in storage that only its owner can read. Nothing else may
// marshal a set; what goes out to partners is [KeySet.JWKS].
func (s *KeySet) MarshalJSON() ([]byte, error) {
	state := keySetState{Version: stateVersion}
	for _, entry := range s.entries {
		data, err := entry.key.PEM()
		if err != nil {
			return nil, err
		}
		stored := keyState{PEM: string(data), PublishedFrom: entry.publishedFrom}
		if !entry.signsFrom.IsZero() {
			stored.SignsFrom = &entry.signsFrom
		}
		state.Keys = append(state.Keys, stored)
	}
	data, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("%w: marshalling its state: %w", ErrKeySet, err)
	}
	return data, nil
}

// UnmarshalJSON reads what [KeySet.MarshalJSON] wrote into a new, zero KeySet. A damaged, newer or contradictory state is
// refused as a whole: signing with half a timeline would break every partner that cached the other half. Errors wrap
// [ErrKeySet] or [ErrSigningKey] and hold no part of the input.
func (s *KeySet) UnmarshalJSON(state []byte) error {
	if len(state) > maxStateBytes {
		return fmt.Errorf("%w: the stored state has more than %d bytes", ErrKeySet, maxStateBytes)
	}
	var stored keySetState
	if err := jsonv2.Unmarshal(state, &stored, jsonv2.RejectUnknownMembers(true)); err != nil {
		// The reason is left out on purpose: the decoder quotes what it read, and that is a private key.
		return fmt.Errorf("%w: the stored state is damaged or of a newer version", ErrKeySet)
	}
	if stored.Version != stateVersion {
		return fmt.Errorf("%w: the stored state has version %d, this program reads %d", ErrKeySet, stored.Version, stateVersion)
	}
	set := KeySet{}
	for i, k := range stored.Keys {
		key, err := parseEitherKey([]byte(k.PEM))
		if err != nil {
			return fmt.Errorf("key %d of the stored state: %w", i+1, err)
		}
		entry := keyEntry{key: key, publishedFrom: k.PublishedFrom.UTC()}
		if k.SignsFrom != nil {
			entry.signsFrom = k.SignsFrom.UTC()
		}
		set.entries = append(set.entries, entry)
	}
	if err := set.check(); err != nil {
		return err
	}
	*s = set
	return nil
}
