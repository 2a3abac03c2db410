// SPDX-License-Identifier: Apache-2.0

import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'

const skew = 60 // seconds that two clocks may differ
const longest = 15 * 60 // seconds that a link may live

// verifierOf returns a function that checks the links of one relying party and uses them up. It returns what the token says, or
// throws: then nobody is sent anywhere. site and orgId are agreed at onboarding; audience is your own origin. One verifier for each
// relying party: with the keys of two, each could speak for the other.
export function verifierOf({ site, orgId, audience, once = onceInMemory() }) {
	const keys = createRemoteJWKSet(new URL(`${site}/.verified-id/jwks.json`), { cacheMaxAge: 3_600_000 })
	const redirectUrl = `${site}/.verified-id/return`
	return async (token) => {
		if (typeof token !== 'string' || token.length > 8192) throw refused('no token, or more than one, or a long one')
		// Nothing but what was agreed: no key of its own, no address of one.
		const { alg, typ, kid, ...more } = decodeProtectedHeader(token)
		if (alg !== 'RS256' || typ !== 'JWT' || typeof kid !== 'string' || Object.keys(more).length) throw refused('header')
		const { payload } = await jwtVerify(token, keys, {
			algorithms: ['RS256'],
			issuer: site,
			audience,
			requiredClaims: ['OrgId', 'RequestId', 'exp', 'redirectUrl', 'iat', 'nbf', 'jti'],
			clockTolerance: skew,
		})
		const now = Math.floor(Date.now() / 1000)
		if (payload.aud !== audience) throw refused('more than one audience')
		if (payload.exp > now + longest + skew || payload.iat > now + skew) throw refused('times')
		if (payload.OrgId !== orgId) throw refused('organisation')
		if (payload.redirectUrl !== redirectUrl) throw refused('redirectUrl')
		for (const mark of [payload.RequestId, payload.jti]) {
			if (typeof mark !== 'string' || !/^[\w.~+/-]{16,128}$/.test(mark)) throw refused('RequestId or jti')
		}
		// Last, so that a link that is refused for another reason is not used up.
		if (!(await once(`${orgId} ${payload.RequestId}`, payload.exp + skew))) throw refused('used before')
		return payload
	}
}

// onceInMemory answers true the first time a mark comes, and remembers it until the given Unix second. It is for one process: with
// several servers, take a store that they share, such as SET NX EX of Redis, and throw when it does not answer.
function onceInMemory() {
	const used = new Map()
	return (mark, until) => {
		const now = Date.now() / 1000
		for (const [old, end] of used) if (end < now) used.delete(old)
		if (used.has(mark)) return false
		used.set(mark, until)
		return true
	}
}

const refused = (why) => Object.assign(new Error(why), { code: 'refused: ' + why })
