// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// kickstartClaims reads a kickstart link's token; that it is good is shown by TestDetourOverPartner.
func kickstartClaims(t *testing.T, location *url.URL) jwt.MapClaims {
	t.Helper()
	token, _, err := jwt.NewParser().ParseUnverified(location.Query().Get("token"), jwt.MapClaims{})
	if err != nil {
		t.Fatalf("the link %s: %v", location, err)
	}
	claims, ok := token.Claims.(jwt.MapClaims)
	if !ok {
		t.Fatalf("claims are %T", token.Claims)
	}
	return claims
}

// Mallory reads the RequestId of Ana's link in a log of the partner's and comes back with it in her own browser. It is bound
// to Ana's: Mallory sees nothing of where Ana was going. And the vector, which is printed everywhere and made to be passed
// on, is no RequestId, no transaction and no session. TM-091.
func TestRequestIDOfAnotherBrowser(t *testing.T) {
	_, g, _ := partnerGate(t)
	ana, mallory := newBrowser(t, g), newBrowser(t, g)
	claims := kickstartClaims(t, ana.sendTo("au10tix", "/payroll/of-ana"))
	requestID, _ := claims["RequestId"].(string)
	w, _ := ana.open(basePath + "/return?RequestId=" + requestID)
	vector := supportCode.FindString(w.Body.String())
	vector = strings.NewReplacer("<code>", "", "</code>", "", "&#43;", "+").Replace(vector)
	if len(requestID) < 22 || vector == "" || !strings.Contains(w.Body.String(), "/payroll/of-ana") {
		t.Fatalf("RequestId %q, vector %q; the test no longer shows anything", requestID, vector)
	}
	if strings.Contains(vector, requestID) || strings.Contains(requestID, strings.SplitN(vector, ".", 2)[0]) {
		t.Errorf("RequestId %q and vector %q hang together", requestID, vector)
	}
	for _, known := range []string{requestID, vector} {
		for _, path := range []string{"/return?RequestId=", "/wait?t=", "/status?t=", "/events?t=", "/start?v="} {
			w, u := mallory.open(basePath + path + url.QueryEscape(known))
			if strings.Contains(w.Body.String(), "of-ana") || u.hits != 0 {
				t.Errorf("%s with %q: status %d shows Ana's journey", path, known, w.Code)
			}
		}
		mallory.cookies[g.site.journey.Name] = known
		if w, _ := mallory.open(basePath + "/return"); strings.Contains(w.Body.String(), "of-ana") {
			t.Errorf("%q as a cookie is Ana's journey", known)
		}
		delete(mallory.cookies, g.site.journey.Name)
	}
	if _, has := mallory.cookies[g.site.session.Name]; has {
		t.Error("Mallory has a session")
	}
}

// A visitor's request decides nothing about where the partner sends people back to, nor who signs. TM-089, TM-046.
func TestHostileHostDoesNotMoveTheReturn(t *testing.T) {
	_, g, _ := partnerGate(t)
	b := newBrowser(t, g)
	start, _ := b.open(basePath + "/start")
	r := request("POST", testOrigin+basePath+"/idv?redirectUrl=https://evil.example", http.Header{
		"Sec-Fetch-Site": {"same-origin"}, "Content-Type": {"application/x-www-form-urlencoded"}, "X-Forwarded-Host": {"evil.example"},
		"X-Original-Host": {"evil.example"}, "Forwarded": {"host=evil.example;proto=http"}, "X-Forwarded-Proto": {"http"}, "Origin": {"https://evil.example"},
	})
	r.Host = "evil.example:8443"
	r.Body = readCloser{strings.NewReader(url.Values{
		"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}, "partner": {"au10tix"}, "redirectUrl": {"https://evil.example"},
		"redirect_url": {"https://evil.example"}, "url": {"https://evil.example"}, "org_id": {"evil"},
	}.Encode())}
	for name, value := range b.cookies {
		r.Header.Add("Cookie", name+"="+value)
	}
	w, _ := serve(t, g, r)
	location, err := url.Parse(onward(w))
	if err != nil || location.Host != "idv.example" {
		t.Fatalf("sent to %q (%v)", onward(w), err)
	}
	claims := kickstartClaims(t, location)
	if claims["redirectUrl"] != testOrigin+basePath+"/return" || claims["OrgId"] != "contoso" || claims["iss"] != testOrigin {
		t.Errorf("claims %v", claims)
	}
}

// The link holds nothing about the visitor: not where they were going, not what ties the journey to their browser. TM-088.
func TestKickstartLinkNamesNobody(t *testing.T) {
	_, g, _ := partnerGate(t)
	b := newBrowser(t, g)
	for partner, members := range map[string]int{"au10tix": 9, "vu": 4} {
		location := b.sendTo(partner, "/payroll/of-ana?year=2026")
		claims := kickstartClaims(t, location)
		if len(claims) != members {
			t.Errorf("%s: %d claims, want %d: %v", partner, len(claims), members, claims)
		}
		for _, value := range []string{"of-ana", "2026", b.cookies[g.site.binding.Name], b.cookies[g.site.journey.Name], "192.0.2.7"} {
			for name, claim := range claims {
				if text, ok := claim.(string); ok && strings.Contains(text, value) {
					t.Errorf("%s: %s = %q", partner, name, text)
				}
			}
		}
	}
}

// Nothing but the form that asks for a link signs one: a flood of everything else costs no RSA. TM-123.
func TestOnlyKickstartSigns(t *testing.T) {
	_, g, _ := partnerGate(t)
	b := newBrowser(t, g)
	b.sendTo("vu", "/") // makes the key of this installation, once
	signingSlots <- struct{}{}
	signingSlots <- struct{}{}
	signingSlots <- struct{}{}
	signingSlots <- struct{}{}
	defer func() {
		for range cap(signingSlots) {
			<-signingSlots
		}
	}()
	for _, e := range endpoints {
		if e.path == "/idv" || e.path == "/events" {
			continue
		}
		for _, method := range e.methods { // would wait for ever, did one of them sign
			b.send(method, basePath+e.path, url.Values{"token": {"x"}, "partner": {"vu"}}, http.Header{"Sec-Fetch-Site": {"same-origin"}, "Accept": {"text/html"}})
		}
	}
	if _, u := serve(t, g, request("GET", testOrigin+"/", nil)); u.hits != 0 {
		t.Error("a stranger got in")
	}
}
