// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"strconv"
	"sync"

	qrcode "github.com/skip2/go-qrcode"
)

// QR is a QR code as one SVG path; a module is one unit, the quiet zone of four modules is included.
type QR struct {
	// Width and height in modules.
	Size int
	// The dark modules as lines, for the d attribute of a path with a stroke of width 1 in a viewBox of Size by Size.
	Path string
}

// QRCode draws the code of a link for the wallet; it is the same link that the page shows beside it. Links that [Wait] would
// not show are an error. Medium recovery (15 %) is a compromise: more makes smaller modules, which old phones do not resolve;
// less suffers from glare on the screen.
func QRCode(deepLink string) (QR, error) {
	if _, err := walletLink(deepLink); err != nil {
		return QR{}, err
	}
	code, err := qrcode.New(deepLink, qrcode.Medium)
	if err != nil {
		return QR{}, fmt.Errorf("drawing QR code: %w", err)
	}
	bitmap := code.Bitmap()
	return QR{Size: len(bitmap), Path: string(appendPath(make([]byte, 0, 4<<10), bitmap))}, nil
}

// maxCodes bounds the codes a Renderer remembers, about 5 KB each.
const maxCodes = 128

// codes remembers the latest QR codes. Drawing one is by far the dearest thing a page does, and a visitor without JavaScript, or
// one who means harm, loads the same page again and again.
type codes struct {
	mu     sync.Mutex
	byLink map[string]QR
	oldest []string // a ring of the keys, in the order they came
	next   int
}

// draw returns the code of a link that was checked.
func (c *codes) draw(link string) (QR, error) {
	c.mu.Lock()
	code, ok := c.byLink[link]
	c.mu.Unlock()
	if ok {
		return code, nil
	}
	code, err := QRCode(link)
	if err != nil {
		return QR{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byLink[link]; ok {
		return code, nil
	}
	switch {
	case c.byLink == nil:
		c.byLink = make(map[string]QR, maxCodes)
		c.oldest = make([]string, maxCodes)
	case len(c.byLink) == maxCodes:
		delete(c.byLink, c.oldest[c.next])
	}
	c.byLink[link] = code
	c.oldest[c.next] = link
	c.next = (c.next + 1) % maxCodes
	return code, nil
}

// appendPath writes each horizontal run of dark modules as a line one module thick, moving on from the end of the one before:
// about a third of what filled squares would cost.
func appendPath(dst []byte, bitmap [][]bool) []byte {
	x, y := 0, 0
	for row, line := range bitmap {
		for column := 0; column < len(line); column++ {
			if !line[column] {
				continue
			}
			length := 1
			for column+length < len(line) && line[column+length] {
				length++
			}
			if len(dst) == 0 {
				// A line has its thickness on both sides, so it runs along the middle of the row.
				dst = fmt.Appendf(dst, "M%d %d.5", column, row)
			} else {
				dst = append(dst, 'm')
				dst = strconv.AppendInt(dst, int64(column-x), 10)
				dst = append(dst, ' ')
				dst = strconv.AppendInt(dst, int64(row-y), 10)
			}
			dst = append(dst, 'h')
			dst = strconv.AppendInt(dst, int64(length), 10)
			column += length
			x, y = column, row
		}
	}
	return dst
}
