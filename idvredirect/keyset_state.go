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

// State returns the set as JSON, to be kept in storage that only its owner can read: it holds the private keys.
// [ParseKeySet] reads it back. There is no MarshalJSON, so that a set never gets into a dump by being part of something
// else.
func (s *KeySet) State() ([]byte, error) {
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
	data, err := json.MarshalIndent(state, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("%w: marshalling its state: %w", ErrKeySet, err)
	}
	return data, nil
}

// ParseKeySet reads what [KeySet.State] wrote. A damaged, newer or contradictory state is refused as a whole: signing
// with half a timeline would break every partner that cached the other half. Errors wrap [ErrKeySet] or [ErrSigningKey]
// and hold no part of the input.
func ParseKeySet(state []byte) (*KeySet, error) {
	if len(state) > maxStateBytes {
		return nil, fmt.Errorf("%w: the stored state has more than %d bytes", ErrKeySet, maxStateBytes)
	}
	var stored keySetState
	if err := jsonv2.Unmarshal(state, &stored, jsonv2.RejectUnknownMembers(true)); err != nil {
		// The reason is left out on purpose: the decoder quotes what it read, and that is a private key.
		return nil, fmt.Errorf("%w: the stored state is damaged or of a newer version", ErrKeySet)
	}
	if stored.Version != stateVersion {
		return nil, fmt.Errorf("%w: the stored state has version %d, this program reads %d", ErrKeySet, stored.Version, stateVersion)
	}
	if len(stored.Keys) == 0 {
		return nil, fmt.Errorf("%w: the stored state holds no key", ErrKeySet)
	}
	set := &KeySet{}
	for i, k := range stored.Keys {
		key, err := ParseSigningKey([]byte(k.PEM))
		if err != nil {
			return nil, fmt.Errorf("key %d of the stored state: %w", i+1, err)
		}
		entry := keyEntry{key: key, publishedFrom: k.PublishedFrom.UTC()}
		if k.SignsFrom != nil {
			entry.signsFrom = k.SignsFrom.UTC()
		}
		set.entries = append(set.entries, entry)
	}
	return set, set.check()
}
