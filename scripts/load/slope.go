// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"time"
)

// sample is what was seen at a time after the beginning.
type sample struct {
	at                      time.Duration
	rss                     int64
	goroutines, descriptors int
	keys                    int
}

// slope fits a line by least squares and returns its rise an hour with half the width of its 95 % interval. Samples that follow
// closely resemble one another, so the interval is narrower than it should be; samples are far apart.
func slope(samples []sample, value func(sample) float64) (perHour, bound float64) {
	n := float64(len(samples))
	if n < 3 {
		return 0, math.Inf(1)
	}
	var meanX, meanY float64
	for _, s := range samples {
		meanX += s.at.Hours() / n
		meanY += value(s) / n
	}
	var xx, xy float64
	for _, s := range samples {
		dx := s.at.Hours() - meanX
		xx += dx * dx
		xy += dx * (value(s) - meanY)
	}
	if xx == 0 {
		return 0, math.Inf(1)
	}
	perHour = xy / xx
	var rest float64
	for _, s := range samples {
		e := value(s) - meanY - perHour*(s.at.Hours()-meanX)
		rest += e * e
	}
	return perHour, 1.96 * math.Sqrt(rest/(n-2)/xx)
}
