// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	statusListBytes  = 16384 // the least that the status list drafts allow: 131,072 cards
	statusListSchema = "https://w3id.org/vc-status-list-2021/v1"
	// statusStride spreads indexes over the list: neighbours land in different bytes at different bits, so that
	// a reader with the wrong bit order is found out.
	statusStride = 7919
	statusFirst  = 31
)

var errListFull = errors.New("status list is full")

// statusList is an issuer's revocation list. Its bits are least significant first, as Entra's are.
type statusList struct {
	objectID string

	mu   sync.Mutex
	bits []byte
	used int
}

func newStatusList(rand *random) *statusList {
	return &statusList{objectID: rand.uuid(), bits: make([]byte, statusListBytes)}
}

// next allots an index.
func (l *statusList) next() (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.used == statusListBytes*8 {
		return 0, errListFull
	}
	index := (statusFirst + l.used*statusStride) % (statusListBytes * 8)
	l.used++
	return index, nil
}

func (l *statusList) revoke(index int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bits[index/8] |= 1 << (index % 8)
}

func (l *statusList) revoked(index int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return index >= 0 && index < len(l.bits)*8 && l.bits[index/8]&(1<<(index%8)) != 0
}

// encoded returns base64url(gzip(bits)).
func (l *statusList) encoded() (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	if _, err := zip.Write(l.bits); err != nil {
		return "", fmt.Errorf("packing status list: %w", err)
	}
	if err := zip.Close(); err != nil {
		return "", fmt.Errorf("packing status list: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(out.Bytes()), nil
}

// credentialStatus is what a card says about where its own status can be read.
type credentialStatus struct {
	ID                   string `json:"id"`
	Type                 string `json:"type"`
	StatusListIndex      int    `json:"statusListIndex"`
	StatusListCredential string `json:"statusListCredential"`
}

// statusOf makes the status entry of a card at index.
func (a *authority) statusOf(index int) (*credentialStatus, error) {
	query, err := json.Marshal([]map[string]string{{
		"method": "CollectionsQuery", "schema": statusListSchema, "objectId": a.list.objectID,
	}})
	if err != nil {
		return nil, fmt.Errorf("describing status list: %w", err)
	}
	return &credentialStatus{
		ID:                   fmt.Sprintf("urn:uuid:%s?bit-index=%d", a.list.objectID, index),
		Type:                 "RevocationList2021Status",
		StatusListIndex:      index,
		StatusListCredential: a.DID + "?service=IdentityHub&queries=" + base64.RawURLEncoding.EncodeToString(query),
	}, nil
}

// listCredential is the status list signed by its issuer.
func (a *authority) listCredential(now time.Time) (string, error) {
	encoded, err := a.list.encoded()
	if err != nil {
		return "", err
	}
	id := "urn:uuid:" + a.list.objectID
	return a.sign(map[string]any{
		"jti": id, "iss": a.DID, "sub": id, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"vc": map[string]any{
			"@context":          []string{contextCredentials, statusListSchema},
			"type":              []string{typeCredential, "StatusList2021Credential"},
			"credentialSubject": map[string]string{"id": id, "type": "RevocationList2021", "encodedList": encoded},
		},
	})
}
