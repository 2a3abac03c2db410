// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// visit is one person's way from a protected page to the session: where it leads and what for. It travels sealed, in the
// address of the start page and in the pages' forms, so that nobody can write one (TM-083).
type visit struct {
	Gate     string    `json:"g"`
	ReturnTo string    `json:"r"`
	Reason   string    `json:"w,omitempty"` // why the visitor is asked (again): a word of page.StartReasons
	Made     time.Time `json:"m"`
	Codes    int       `json:"n,omitempty"` // codes shown on this visit (TM-038)
	Vector   string    `json:"v,omitempty"` // correlation vector, the support code
	Browser  string    `json:"b,omitempty"` // hash of the browser's binding secret, in forms only (TM-031)
}

// visitLifetime is how long a start page may stay open.
const visitLifetime = 12 * time.Hour

func (s *site) sealVisit(v visit) string { return s.sealJSON(s.app.keys.visits, v) }

// openVisit opens a token of ours. A stranger's, an old or an unreadable one is none.
func (s *site) openVisit(token string, now time.Time) (visit, bool) {
	var v visit
	if !s.openJSON(s.app.keys.visits, token, &v) || now.Sub(v.Made) > visitLifetime || v.Made.After(now.Add(clockSkew)) {
		return visit{}, false
	}
	return v, true
}

// journey is a visit that went to a partner. It lives in a cookie of its own, which can start nothing (TM-098).
type journey struct {
	Visit      visit     `json:"v"`
	Partner    string    `json:"p"`
	Credential string    `json:"c"`
	RequestID  string    `json:"i"`
	Started    time.Time `json:"s"`
}

// journeyLifetime is how long a partner may take.
const journeyLifetime = time.Hour

func (s *site) openJourney(r *http.Request, now time.Time) (journey, bool) {
	var j journey
	value, ok := session.FindCookie(cookiesOf(r), s.journey.Name)
	if !ok || !s.openJSON(s.app.keys.journeys, value, &j) || now.Sub(j.Started) > journeyLifetime {
		return journey{}, false
	}
	return j, true
}

func (s *site) sealJSON(with *session.Sealer, value any) string {
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false) // an address full of & would grow sixfold
	if err := encoder.Encode(value); err != nil {
		panic("verified_id: internal error: " + err.Error())
	}
	return with.Seal(plain.Bytes(), s.pageBinding)
}

func (s *site) openJSON(with *session.Sealer, sealed string, into any) bool {
	plain, err := with.Open(sealed, s.pageBinding)
	return err == nil && json.Unmarshal(plain, into) == nil
}

// bindingLifetime is how long a browser keeps its binding secret: the longest a visit can take.
const bindingLifetime = 24 * time.Hour

// bindingBytes of randomness tie a transaction to the browser that started it. The secret exists only in its cookie;
// everybody else, ourselves included, keeps a hash (TM-029).
const bindingBytes = 32

// boundTo returns the hash of this browser's binding secret, if it has one.
func (s *site) boundTo(r *http.Request) ([]byte, bool) {
	secret, ok := session.FindCookie(cookiesOf(r), s.binding.Name)
	if !ok || len(secret) < bindingBytes {
		return nil, false
	}
	hash := sha256.Sum256([]byte(secret))
	return hash[:], true
}

// bind gives the browser a binding secret unless it has one, and returns its hash.
func (s *site) bind(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if hash, ok := s.boundTo(r); ok {
		return hash, nil
	}
	secret := randomText(bindingBytes)
	hash := sha256.Sum256([]byte(secret))
	return hash[:], s.binding.Set(w.Header(), secret, bindingLifetime)
}

// sameBrowser compares two hashes of binding secrets.
func sameBrowser(a, b []byte) bool { return len(a) > 0 && subtle.ConstantTimeCompare(a, b) == 1 }

// newVector seeds the correlation vector of a visit.
func newVector() string {
	vector, err := idvredirect.NewCorrelationVector(rand.Reader)
	if err != nil {
		return ""
	}
	return vector.String()
}

// nextVector is the vector for the next outgoing call of a visit.
func nextVector(current string) string {
	vector, err := idvredirect.ParseCorrelationVector(current)
	if err != nil {
		return newVector()
	}
	return vector.Increment().String()
}
