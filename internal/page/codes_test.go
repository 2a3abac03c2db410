// SPDX-License-Identifier: Apache-2.0

package page

import (
	"strconv"
	"sync"
	"testing"
)

// TM-122. However many links there are, a Renderer remembers a bounded number of codes, and never hands out another link's.
func TestCodesAreBounded(t *testing.T) {
	t.Parallel()
	var c codes
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 100 {
				// The workers' links overlap by half.
				link := "openid-vc://?request_uri=" + strconv.Itoa(worker*50+i)
				got, err := c.draw(link)
				if err != nil {
					t.Errorf("draw(%q) = %v", link, err)
				}
				if want, _ := QRCode(link); got != want {
					t.Errorf("draw(%q) is another link's code", link)
				}
			}
		})
	}
	group.Wait()
	if len(c.byLink) != maxCodes {
		t.Errorf("%d codes remembered, want %d", len(c.byLink), maxCodes)
	}
	for _, link := range c.oldest {
		if _, ok := c.byLink[link]; !ok {
			t.Errorf("%q is in the ring only", link)
		}
	}
}
