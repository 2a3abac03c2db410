// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// SpinInterval is how often the counter of [CorrelationVector.Spin] advances.
type SpinInterval int

const (
	// CoarseInterval drops 24 bits of the time in ticks of 100 ns: the counter advances every 1.67 s.
	CoarseInterval SpinInterval = iota

	// FineInterval drops 16 bits: the counter advances every 6.5 ms.
	FineInterval
)

// SpinPeriodicity is how many bits of the counter are kept, so how long it runs before it begins again.
type SpinPeriodicity int

// The four periodicities, with 0, 16, 24 and 32 bits of counter.
const (
	NoPeriodicity SpinPeriodicity = iota
	ShortPeriodicity
	MediumPeriodicity
	LongPeriodicity
)

// SpinParameters shape the two elements that [CorrelationVector.Spin] adds. The zero value adds two zeros, which tells
// nothing apart: start from [DefaultSpin]. Version 3.0 has one fixed shape, that of DefaultSpin, and ignores them.
type SpinParameters struct {
	// Interval is how often the counter advances. Zero: CoarseInterval.
	Interval SpinInterval

	// Periodicity is how much of the counter is kept. Zero: nothing.
	Periodicity SpinPeriodicity

	// EntropyBytes is the number of random bytes, 0 to 4.
	EntropyBytes int
}

// DefaultSpin returns the finest counter and the most entropy there is: 32 bits each.
func DefaultSpin() SpinParameters {
	return SpinParameters{Interval: FineInterval, Periodicity: LongPeriodicity, EntropyBytes: 4}
}

// ticksBeforeUnix is 1970-01-01 in ticks of 100 ns since year 1, the clock that the specification counts with.
const ticksBeforeUnix = 621355968000000000

// Spin adds a counter made from now, a random element and a 0, in the place of Extend, when the caller may send one
// vector more than once. random nil means crypto/rand. Without room a vector of version 2.1 is terminated with "!", and
// one of version 3.0 is reset. Errors: parameters out of range, or that of random; the vector is then returned unchanged.
func (v CorrelationVector) Spin(parameters SpinParameters, now time.Time, random io.Reader) (CorrelationVector, error) {
	if v.value == "" || v.Terminated() {
		return v, nil
	}
	if v.isV3() {
		parameters = DefaultSpin()
	}
	counter, entropy, err := parameters.draw(now, random)
	if err != nil {
		return v, err
	}
	if v.isV3() {
		id := fmt.Sprintf("%08X%08X", counter, entropy)
		if spun := v.value + "_" + id + ".0"; len(spun) <= maxVectorV3 {
			return CorrelationVector{spun}, nil
		}
		return v.resetTo(id), nil
	}
	return v.replace(v.value + "." + strconv.FormatUint(uint64(counter), 10) + "." + strconv.FormatUint(uint64(entropy), 10) + ".0"), nil
}

// Reset starts a vector of version 3.0 anew under the same base, when it has no room left. Log the old and the new
// vector together: nothing else connects them. A vector of version 2.1 cannot be reset and is returned unchanged. The
// error is that of random (nil: crypto/rand).
func (v CorrelationVector) Reset(now time.Time, random io.Reader) (CorrelationVector, error) {
	if !v.isV3() {
		return v, nil
	}
	counter, entropy, err := DefaultSpin().draw(now, random)
	if err != nil {
		return v, err
	}
	return v.resetTo(fmt.Sprintf("%08X%08X", counter, entropy)), nil
}

func (v CorrelationVector) resetTo(id string) CorrelationVector {
	return CorrelationVector{prefixV3 + v.Base() + "#" + id + ".0"}
}

// draw returns the counter and the random element, each cut to its own size.
func (p SpinParameters) draw(now time.Time, random io.Reader) (counter, entropy uint32, err error) {
	drop, interval := map[SpinInterval]int{CoarseInterval: 24, FineInterval: 16}[p.Interval]
	keep, periodicity := map[SpinPeriodicity]int{NoPeriodicity: 0, ShortPeriodicity: 16, MediumPeriodicity: 24, LongPeriodicity: 32}[p.Periodicity]
	if !interval || !periodicity || p.EntropyBytes < 0 || p.EntropyBytes > 4 {
		return 0, 0, errors.New("spinning a correlation vector: interval, periodicity or entropy is out of range")
	}
	ticks := now.Unix()*1e7 + int64(now.Nanosecond()/100) + ticksBeforeUnix
	counter = uint32(ticks >> drop & (1<<keep - 1))

	var bytes [4]byte
	if err := fill(random, bytes[4-p.EntropyBytes:]); err != nil {
		return 0, 0, fmt.Errorf("spinning a correlation vector: %w", err)
	}
	return counter, binary.BigEndian.Uint32(bytes[:]), nil
}
