// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// ErrMalformed means that bytes are not a session in the format of this version. They came out of a seal, so another
// version of this program made them, or we have a bug.
var ErrMalformed = errors.New("malformed session")

// codecVersion is the first byte of an encoded session. It changes with the format; sessions of another version end.
const codecVersion = 1

// The format, version 1. An integer is an unsigned varint in its shortest form; a text is its length and its bytes; a time is
// 0 for the zero time, else 1 + the zigzag form of its Unix seconds.
//
//	version  1 byte
//	flags    1 byte: crossDevice
//	id, subject            texts
//	created, expires, seen times
//	presentations, claims  integers: how many, claims over all presentations
//	for each presentation
//		flags    1 byte: crossDevice, faceChecked, revoked
//		score    8 bytes, IEEE 754, only with faceChecked
//		credential, type, issuer, linkedDomain, policy texts
//		verifiedAt, credentialIssued, credentialExpires times
//		claims   integer: how many
//		for each claim: name, value texts, names ascending
const (
	flagCrossDevice = 1 << iota
	flagFaceChecked
	flagRevoked
)

// The least bytes that a presentation and a claim take. They bound how many there can be before anything is allocated.
const (
	minPresentation = 10
	minClaim        = 2
)

// Times that RFC 3339 can write; others are nobody's date.
const (
	minSeconds = -62135596800 // year 1
	maxSeconds = 253402300799 // year 9999
)

// AppendBinary appends the session in its compact form to dst. Times lose their fraction of a second, towards the past, so
// that nothing lasts longer than it should. The subjects of presentations are left out.
func (s *Session) AppendBinary(dst []byte) []byte {
	claims := 0
	for i := range s.Presentations {
		claims += len(s.Presentations[i].Claims)
	}
	dst = append(dst, codecVersion, flag(s.CrossDevice, flagCrossDevice))
	dst = appendText(dst, s.ID)
	dst = appendText(dst, s.Subject)
	dst = appendTime(dst, s.Created)
	dst = appendTime(dst, s.Expires)
	dst = appendTime(dst, s.Seen)
	dst = binary.AppendUvarint(dst, uint64(len(s.Presentations)))
	dst = binary.AppendUvarint(dst, uint64(claims))
	for i := range s.Presentations {
		dst = appendPresentation(dst, &s.Presentations[i])
	}
	return dst
}

// appendPresentation appends one presentation to dst.
func appendPresentation(dst []byte, p *verifier.Presentation) []byte {
	dst = append(dst, flag(p.CrossDevice, flagCrossDevice)|flag(p.FaceChecked, flagFaceChecked)|flag(p.Revoked, flagRevoked))
	if p.FaceChecked {
		dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(p.FaceScore))
	}
	dst = appendText(dst, p.Credential)
	dst = appendText(dst, p.Type)
	dst = appendText(dst, p.Issuer)
	dst = appendText(dst, p.LinkedDomain)
	dst = appendText(dst, p.Policy)
	dst = appendTime(dst, p.VerifiedAt)
	dst = appendTime(dst, p.CredentialIssued)
	dst = appendTime(dst, p.CredentialExpires)
	dst = binary.AppendUvarint(dst, uint64(len(p.Claims)))
	for _, claim := range p.Claims {
		dst = appendText(dst, claim.Name)
		dst = appendText(dst, claim.Value)
	}
	return dst
}

// flag returns bit if set.
func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

// appendText appends a text to dst.
func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// appendTime appends a time to dst.
func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, 0)
	}
	seconds := min(max(t.Unix(), minSeconds+1), maxSeconds)
	return binary.AppendUvarint(dst, 1+uint64(seconds<<1^seconds>>63))
}

// Decode returns the session that b holds. It takes exactly what [Session.AppendBinary] writes, with nothing left over;
// everything else is [ErrMalformed]. The texts of the session share one string, so they keep each other in memory. Times are
// in UTC.
func Decode(b []byte) (*Session, error) {
	d := decoder{bytes: b, text: string(b)}
	if d.byte() != codecVersion {
		return nil, ErrMalformed
	}
	flags := d.flags(flagCrossDevice)
	s := &Session{
		CrossDevice: flags&flagCrossDevice != 0,
		ID:          d.string(),
		Subject:     d.string(),
		Created:     d.time(),
		Expires:     d.time(),
		Seen:        d.time(),
	}
	presentations, claims := d.count(minPresentation), d.count(minClaim)
	if d.bad {
		return nil, ErrMalformed
	}
	if presentations > 0 {
		s.Presentations = make([]verifier.Presentation, presentations)
	}
	var pool []verifier.Claim
	if claims > 0 {
		pool = make([]verifier.Claim, claims)
	}
	for i := range s.Presentations {
		pool = d.presentation(&s.Presentations[i], pool)
	}
	if d.bad || d.next != len(b) || len(pool) != 0 {
		return nil, ErrMalformed
	}
	return s, nil
}

// decoder reads from the front of its bytes. After a mistake it is bad, and all it returns is meaningless.
type decoder struct {
	bytes []byte
	text  string // the same, for texts to be part of
	next  int
	bad   bool
}

// presentation reads into p, takes its claims from pool, and returns the rest of pool.
func (d *decoder) presentation(p *verifier.Presentation, pool []verifier.Claim) []verifier.Claim {
	flags := d.flags(flagCrossDevice | flagFaceChecked | flagRevoked)
	p.CrossDevice = flags&flagCrossDevice != 0
	p.FaceChecked = flags&flagFaceChecked != 0
	p.Revoked = flags&flagRevoked != 0
	if p.FaceChecked {
		p.FaceScore = d.score()
	}
	p.Credential = d.string()
	p.Type = d.string()
	p.Issuer = d.string()
	p.LinkedDomain = d.string()
	p.Policy = d.string()
	p.VerifiedAt = d.time()
	p.CredentialIssued = d.time()
	p.CredentialExpires = d.time()

	n := d.count(minClaim)
	if n > len(pool) {
		d.bad = true
	}
	if d.bad || n == 0 {
		return pool
	}
	// The limited capacity keeps an append from writing over the next presentation's claims.
	p.Claims, pool = pool[:n:n], pool[n:]
	for i := range p.Claims {
		claim := &p.Claims[i]
		claim.Name, claim.Value = d.string(), d.string()
		if i > 0 && claim.Name <= p.Claims[i-1].Name {
			d.bad = true
		}
	}
	return pool
}

// byte reads one byte.
func (d *decoder) byte() byte {
	if d.bad || d.next >= len(d.bytes) {
		d.bad = true
		return 0
	}
	d.next++
	return d.bytes[d.next-1]
}

// flags reads one byte in which only the bits of allowed may be set.
func (d *decoder) flags(allowed byte) byte {
	flags := d.byte()
	if flags&^allowed != 0 {
		d.bad = true
	}
	return flags
}

// uvarint reads an integer.
func (d *decoder) uvarint() uint64 {
	if d.bad {
		return 0
	}
	v, n := binary.Uvarint(d.bytes[d.next:])
	// One value, one spelling: a longer form ends in a zero byte.
	if n <= 0 || n > 1 && d.bytes[d.next+n-1] == 0 {
		d.bad = true
		return 0
	}
	d.next += n
	return v
}

// count reads how many things follow, of which each takes at least size bytes.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64((len(d.bytes)-d.next)/size) {
		d.bad = true
		return 0
	}
	return int(n)
}

// string reads a text.
func (d *decoder) string() string {
	n := d.count(1)
	start := d.next
	d.next += n
	return d.text[start:d.next]
}

// time reads a time.
func (d *decoder) time() time.Time {
	v := d.uvarint()
	if v == 0 {
		return time.Time{}
	}
	v--
	seconds := int64(v>>1) ^ -int64(v&1)
	// The zero time has a form of its own.
	if seconds <= minSeconds || seconds > maxSeconds {
		d.bad = true
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// score reads a Face Check score.
func (d *decoder) score() float64 {
	if d.bad || len(d.bytes)-d.next < 8 {
		d.bad = true
		return 0
	}
	score := math.Float64frombits(binary.BigEndian.Uint64(d.bytes[d.next:]))
	d.next += 8
	if math.IsNaN(score) || score < 0 || score > 100 {
		d.bad = true
		return 0
	}
	return score
}
