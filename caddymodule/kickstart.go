// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// signingSlots bounds the RSA work, which costs milliseconds each (TM-123).
var signingSlots = make(chan struct{}, 4)

// idv sends a visitor without the credential to a partner that issues it, with a signed one-time link. A new link makes
// the earlier one worthless here, because the journey cookie then holds another RequestId (TM-090).
func (v *visitRequest) idv() {
	if !v.form() {
		return
	}
	token, _, ok := v.formVisit()
	if !ok {
		return
	}
	name, credential := v.r.PostFormValue("partner"), v.r.PostForm.Get("credential")
	gate := v.app.gates.get(token.Gate)
	if gate == nil {
		v.cannotStart(token, page.ProblemExpired)
		return
	}
	if !gate.startsFrom(v.r) {
		v.app.metrics.kickstarts.WithLabelValues("outside").Inc()
		v.outside(token)
		return
	}
	w, ok := gate.want(credential)
	if !ok || !slices.Contains(w.credential.partners, name) {
		v.problem(page.ProblemBadRequest)
		return
	}
	wait, ok := v.app.limiter.idv.allow(token.Browser, v.now)
	if ok { // who throws cookies away is a new browser each time, but not another client
		wait, ok = v.app.limiter.senders.allow(clientOf(v.r), v.now)
	}
	if !ok {
		v.app.metrics.kickstarts.WithLabelValues("limited").Inc()
		v.problemAfter(page.ProblemLimited, wait)
		return
	}
	if !v.known(v.r.Context(), w) { // nor could the card be shown that the partner would issue
		v.app.metrics.kickstarts.WithLabelValues("manifest").Inc()
		v.problemAfter(page.ProblemUnavailable, time.Minute)
		return
	}
	j := journey{Visit: token, Partner: name, Credential: credential, RequestID: randomText(16), Started: v.now.UTC()}
	j.Visit.Reason, j.Visit.Browser = "", ""
	to, err := v.kickstart(j)
	if err == nil {
		err = v.journey.Set(v.w.Header(), v.sealJSON(v.app.keys.journeys, j), journeyLifetime)
	}
	if err != nil {
		v.app.metrics.kickstarts.WithLabelValues("failed").Inc()
		v.log(zapcore.ErrorLevel, "signing a kickstart link", zap.String("partner", name), zap.Error(err))
		v.problemAfter(page.ProblemPartner, 30*time.Second)
		return
	}
	v.app.metrics.kickstarts.WithLabelValues("sent").Inc()
	v.event(eventIDVStarted, map[string]any{"partner": name, "credential": credential, "kickstart_id": j.RequestID})
	// By a page instead of a redirect, for the same reason as in enter: partners redirect further.
	to.Meta, to.Partner = v.meta(), v.app.partners[name].displayName
	v.app.pages.Onward(v.w, to)
}

// kickstart signs a link, or what a form carries where the partner wants one.
func (v *visitRequest) kickstart(j journey) (page.Onward, error) {
	ctx, cancel := context.WithTimeout(v.r.Context(), patience.Start)
	defer cancel()
	keys, err := v.app.keys.kickstart.at(context.WithoutCancel(ctx), v.now)
	if err != nil {
		return page.Onward{}, err
	}
	select {
	case signingSlots <- struct{}{}:
		defer func() { <-signingSlots }()
	case <-ctx.Done():
		return page.Onward{}, ctx.Err()
	}
	to := v.app.partners[j.Partner].Partner
	to.Issuer = v.origin.url
	token, err := to.KickstartToken(keys.Signing(v.now), j.RequestID, v.origin.url+basePath+"/return", v.now, rand.Reader)
	if err != nil {
		return page.Onward{}, err
	}
	if v.app.partners[j.Partner].post {
		action, field := to.URL.Form()
		return page.Onward{To: action, Field: field, Value: token}, nil
	}
	location, err := to.URL.With(token)
	return page.Onward{To: location}, err
}

// returned is where a partner sends the visitor back. It proves nothing, changes nothing and asks nobody: it shows the
// start page for the same destination, whatever the partner put into the address (TM-095 to TM-097).
func (v *visitRequest) returned() {
	j, ok := v.openJourney(v.r, v.now)
	if !ok {
		v.startPage(visit{Gate: v.gate.id, ReturnTo: "/", Made: v.now.UTC()}, false)
		return
	}
	v.vector = j.Visit.Vector
	// Some partners send the RequestId back. That of an earlier link is dead: it ends no journey but its own (TM-090).
	id := v.r.URL.Query().Get("RequestId")
	if _, ok := v.app.limiter.returns.allow(j.RequestID, v.now); ok && (id == "" || id == j.RequestID) {
		v.event(eventIDVReturned, map[string]any{"partner": j.Partner, "credential": j.Credential})
	}
	token := v.atGate(j.Visit)
	token.Made = v.now.UTC()
	v.startPage(token, true)
}

// jwks publishes the public keys with which partners check our links and apps our assertions. What nothing signs with need
// not be made.
func (v *visitRequest) jwks() {
	var sets []*idvredirect.KeySet
	for _, keys := range []struct {
		used bool
		*signingKeys
	}{
		{len(v.app.partners) > 0, &v.app.keys.kickstart},
		{v.app.gates.asserting(), &v.app.keys.assertion},
	} {
		if !keys.used {
			continue
		}
		set, err := keys.at(context.WithoutCancel(v.r.Context()), v.now)
		if err != nil {
			v.log(zapcore.ErrorLevel, "reading the signing keys", zap.Error(err))
			v.problemAfter(page.ProblemInternal, 10*time.Second)
			return
		}
		sets = append(sets, set)
	}
	v.keySet(idvredirect.JWKS(v.now, sets...))
}

func (v *visitRequest) keySet(set []byte) {
	header := v.w.Header()
	header.Set("Content-Type", "application/jwk-set+json")
	header.Set("Cache-Control", "public, max-age=3600")
	header.Set("X-Content-Type-Options", "nosniff")
	v.write(set)
}
