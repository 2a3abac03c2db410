// SPDX-License-Identifier: Apache-2.0

import { createRemoteJWKSet, jwtVerify } from 'jose'

// verifierOf returns a function that checks the assertions of one site, such as https://payroll.contoso.com. It returns what an
// assertion says, or throws: then the request is nobody's.
export function verifierOf(site) {
	const keys = createRemoteJWKSet(new URL(`${site}/.verified-id/jwks.json`))
	return async (assertion) => {
		const { payload } = await jwtVerify(assertion ?? '', keys, {
			algorithms: ['ES256'],
			typ: 'verified-id-assertion+jwt',
			issuer: `${site}/.verified-id`,
			audience: site,
			requiredClaims: ['exp', 'iat', 'sub', 'sid', 'auth_time', 'verified_id'],
			clockTolerance: 5, // seconds
		})
		return payload
	}
}
