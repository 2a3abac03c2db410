// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
)

// crowdSize is how many transactions or streams there are at one time.
const crowdSize = 10_000

// L4: what a transaction that waits for a wallet costs.
func measurePending(ctx context.Context, r *run, out *result) error {
	w, err := r.newWorld(ctx, plan{name: "L4"})
	if err != nil {
		return err
	}
	defer w.close()
	// The first ones make room that all share.
	const warmUp = 1000
	c, err := w.gather(ctx, warmUp)
	if err != nil {
		return err
	}
	heap := w.gate.liveHeap(ctx)
	rss, _ := w.gate.rss()
	c.transactions = append(c.transactions, make([]string, crowdSize)...)
	if err := c.more(ctx, warmUp, warmUp+crowdSize); err != nil {
		return err
	}
	rssAfter, _ := w.gate.rss()
	heapAfter := w.gate.liveHeap(ctx)
	if heap < 0 || heapAfter < 0 {
		return fmt.Errorf("the gate does not tell its heap")
	}
	perOne := (heapAfter - heap) / crowdSize
	out.check(fmt.Sprintf("%s transactions wait; live heap for each", thousands(crowdSize)), "≤ 2 KiB", fmt.Sprintf("%d bytes (heap %s before, %s after)", perOne, mebibytes(heap), mebibytes(heapAfter)),
		perOne <= 2<<10, nil)
	out.tell("resident memory", fmt.Sprintf("%s before, %s after; garbage of making them included", mebibytes(rss), mebibytes(rssAfter)), nil)
	out.note("The heap is what lives after a collection. Go's collector lets resident memory grow to about twice that.")
	return w.crashes()
}
