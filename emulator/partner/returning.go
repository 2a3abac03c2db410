// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"net/url"
)

// mayReturnTo tells whether a token's redirectUrl is one the organisation registered. The
// query is the token's own affair; everything before it must be equal, compared after
// parsing, so that "https://good.example@evil.example/" and the like fall through.
func (o *organisation) mayReturnTo(raw string) bool {
	target, err := url.Parse(raw)
	if err != nil || checkURL(raw) != nil {
		return false
	}
	for _, registered := range o.RedirectURLs {
		u, err := url.Parse(registered)
		if err != nil {
			continue
		}
		if target.Scheme == u.Scheme && target.Host == u.Host && target.EscapedPath() == u.EscapedPath() {
			return true
		}
	}
	return false
}

// returnURL is where the person goes at the end. RequestId joins an existing query by
// parsing and not by adding text, which is how Microsoft's demo partner loses parameters.
func (o *organisation) returnURL(k Kickstart) string {
	u, err := url.Parse(k.RedirectURL)
	if err != nil || o.PlainReturn {
		return k.RedirectURL
	}
	addition := "RequestId=" + url.QueryEscape(k.RequestID)
	if u.RawQuery == "" {
		u.RawQuery = addition
	} else {
		u.RawQuery += "&" + addition
	}
	return u.String()
}
