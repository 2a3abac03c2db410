// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets that are at most 0.1 % wide, so that a day of soak takes no more memory than a
// minute. Count and maximum are exact. The zero value is empty.
type histogram struct {
	buckets []uint64
	count   uint64
	max     time.Duration
}

// precision is how many leading bits of a duration in nanoseconds tell buckets apart.
const precision = 11

func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-precision, 0)
	return shift<<(precision-1) + int(v>>shift)
}

// edge is the longest duration in a bucket.
func edge(bucket int) time.Duration {
	const half = 1 << (precision - 1)
	if bucket < 2*half {
		return time.Duration(bucket)
	}
	shift := bucket/half - 1
	return time.Duration((uint64(bucket-shift*half)+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	bucket := bucketOf(d)
	if bucket >= len(h.buckets) {
		h.buckets = append(h.buckets, make([]uint64, bucket+1-len(h.buckets))...)
	}
	h.buckets[bucket]++
	h.count++
	h.max = max(h.max, d)
}

func (h *histogram) merge(other *histogram) {
	if missing := len(other.buckets) - len(h.buckets); missing > 0 {
		h.buckets = append(h.buckets, make([]uint64, missing)...)
	}
	for i, n := range other.buckets {
		h.buckets[i] += n
	}
	h.count += other.count
	h.max = max(h.max, other.max)
}

// quantile is a duration that at least the share q of all does not exceed, too long by at most 0.1 %. 0 if there are none.
func (h *histogram) quantile(q float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	rank := max(uint64(q*float64(h.count)+0.9999999), 1)
	for bucket, n := range h.buckets {
		if rank <= n {
			return min(edge(bucket), h.max)
		}
		rank -= n
	}
	return h.max
}
