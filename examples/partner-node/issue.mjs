// SPDX-License-Identifier: Apache-2.0

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

// issuerOf returns a function that asks Microsoft's Request Service to issue a card. The app of clientId needs the application
// permission VerifiableCredential.Create.IssueRequest. service and login are others with the emulator only.
export function issuerOf({ tenant, clientId, clientSecret, authority, type, manifest, callback, service, login }) {
	return async (state, claims) => {
		// A partner with many visitors keeps the token until shortly before its end (expires_in).
		const { access_token } = await post(`${login ?? 'https://login.microsoftonline.com'}/${tenant}/oauth2/v2.0/token`, {
			body: new URLSearchParams({
				grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret,
				scope: '3db474b9-6a0c-4840-96ac-1fceb342124f/.default',
			}),
		})
		const key = randomBytes(24).toString('base64url') // a new one for each request: who knows it is the service
		const url = `${service ?? 'https://verifiedid.did.msidentity.com'}/v1.0/verifiableCredentials/createIssuanceRequest`
		const made = await post(url, {
			headers: { Authorization: `Bearer ${access_token}`, 'Content-Type': 'application/json' },
			body: JSON.stringify({
				authority, type, manifest, claims,
				includeQRCode: true,
				registration: { clientName: 'Example Identity' },
				callback: { url: callback, state, headers: { 'api-key': key } },
			}),
		})
		// A link to anything but a wallet, or a picture from elsewhere, has no place on the page.
		if (!made.url?.startsWith('openid-vc://') || !made.qrCode?.startsWith('data:image/png;base64,')) throw new Error('answer of the service')
		return { requestId: made.requestId, link: made.url, code: made.qrCode, expiry: made.expiry, key }
	}
}

// isCallbackOf says whether the service has sent this callback about the request.
export function isCallbackOf(asked, key, { requestId }) {
	const digest = (text) => createHash('sha256').update(text).digest()
	return Boolean(asked) && typeof key === 'string' && timingSafeEqual(digest(key), digest(asked.key)) && requestId === asked.requestId
}

async function post(url, request) {
	const response = await fetch(url, { method: 'POST', redirect: 'error', signal: AbortSignal.timeout(10_000), ...request })
	if (!response.ok) throw new Error(`${new URL(url).host} answered ${response.status}`) // its words may quote the claims
	return response.json()
}
