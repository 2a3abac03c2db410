// SPDX-License-Identifier: Apache-2.0

// An identity-verification partner in small: it checks who sent the visitor, proves who they are, issues the card, and sends them back.
// SITE is the origin of the relying party's site, ORG_ID its name here, ORIGIN where visitors and the Request Service find this
// partner, LISTEN the address to listen on. TENANT, CLIENT_ID and CLIENT_SECRET are the app that issues, AUTHORITY, TYPE and MANIFEST
// the contract, and CLAIMS a file with what every passport is taken to say.

import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { randomUUID } from 'node:crypto'
import { isCallbackOf, issuerOf } from './issue.mjs'
import { verifierOf } from './verify.mjs'

const { SITE, ORG_ID, ORIGIN, LISTEN, TENANT, CLIENT_ID, CLIENT_SECRET, AUTHORITY, TYPE, MANIFEST, CLAIMS, SERVICE, LOGIN } = process.env
const verify = verifierOf({ site: SITE, orgId: ORG_ID, audience: ORIGIN })
const issue = issuerOf({
	tenant: TENANT, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, authority: AUTHORITY, type: TYPE, manifest: MANIFEST,
	callback: `${ORIGIN}/callback`, service: SERVICE, login: LOGIN,
})
const passport = JSON.parse(readFileSync(CLAIMS))
const visits = new Map()

const routes = {
	// The link. It comes once; the redirect takes the token out of the address bar and the history.
	[`GET /${ORG_ID}/`]: ({ url }) => arrive(url.searchParams.getAll('token')),
	// The same by a form, for relying parties that write "method post". Its Origin is null: do not ask for one.
	[`POST /${ORG_ID}/`]: async ({ request }) => arrive(new URLSearchParams(await read(request)).getAll('token')),
	'GET /visit': ({ visit }) => page(200, 'Prove who you are',
		`<form method="post" action="/proven?id=${visit.id}"><button>This is my passport</button></form>
		<p><a class="back" href="${visit.redirectUrl}">Leave without a card</a></p>`),
	'POST /proven': ({ visit }) => proven(visit),
	'GET /card': ({ visit }) => card(visit),
	'POST /callback': ({ request }) => called(request),
}
const withoutVisit = [`/${ORG_ID}/`, '/callback']

async function arrive(tokens) {
	let claims
	try {
		claims = await verify(tokens.length === 1 ? tokens[0] : undefined)
	} catch (error) {
		console.error('refused:', error.code ?? error.message) // never the token
		// A page of one's own: the redirectUrl of a refused token leads anywhere.
		return page(403, 'This link does not work', '<p class="refused">Go back to where you came from and begin again.</p>')
	}
	const visit = { id: randomUUID(), requestId: claims.RequestId, redirectUrl: claims.redirectUrl }
	visits.set(visit.id, visit)
	setTimeout(() => visits.delete(visit.id), 3_600_000).unref()
	console.log('begun:', visit.requestId) // what the relying party's support asks for
	return { status: 303, headers: { Location: `/visit?id=${visit.id}` } }
}

// proven asks for the card, when it is known who the visitor is.
async function proven(visit) {
	try {
		visit.asked = await issue(visit.id, passport)
		visit.status = 'request_created'
	} catch (error) {
		console.error('not issued:', visit.requestId, error.message) // never the claims
		return page(502, 'The card could not be made', `<p><a class="back" href="${visit.redirectUrl}">Go back without a card</a></p>`)
	}
	return { status: 303, headers: { Location: `/card?id=${visit.id}` } }
}

// card shows the code until the card is in the wallet, and then sends the visitor back, to redirectUrl as it is.
function card(visit) {
	if (!visit.asked) return { status: 303, headers: { Location: `/visit?id=${visit.id}` } }
	if (visit.status === 'issuance_successful') {
		visits.delete(visit.id)
		return { status: 303, headers: { Location: visit.redirectUrl } }
	}
	const { code, link, expiry } = visit.asked
	if (visit.status === 'issuance_error' || (visit.status === 'request_created' && Date.now() / 1000 > expiry)) {
		return page(200, 'The card was not added',
			`<form method="post" action="/proven?id=${visit.id}"><button>Try again</button></form>
			<p><a class="back" href="${visit.redirectUrl}">Go back without a card</a></p>`)
	}
	return page(200, 'Add the card', `<meta http-equiv="refresh" content="2">
		<p>Scan this with Microsoft Authenticator.</p><img class="code" alt="QR code" src="${escaped(code)}">
		<p><a class="open" href="${escaped(link)}">Open it on this device</a></p>`)
}

const escaped = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)

// called hears from the Request Service. Only its key makes it the service; the state in it names the visit.
async function called(request) {
	let told
	try {
		told = JSON.parse(await read(request))
	} catch {
		return page(400, 'This is no callback', '')
	}
	const visit = visits.get(told?.state)
	if (!visit || !isCallbackOf(visit.asked, request.headers['api-key'], told)) return page(403, 'This is no callback of ours', '')
	if (visit.status !== 'issuance_successful') visit.status = told.requestStatus
	return { status: 200 }
}

const page = (status, title, body) => ({
	status,
	headers: { 'Content-Type': 'text/html; charset=utf-8' },
	body: `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${body}`,
})

async function read(request) {
	let text = ''
	for await (const chunk of request) if ((text += chunk).length > 16384) return ''
	return text
}

const server = createServer(async (request, response) => {
	const url = new URL(request.url, ORIGIN)
	const route = routes[`${request.method} ${url.pathname}`]
	const visit = visits.get(url.searchParams.get('id'))
	const found = route && (visit || withoutVisit.includes(url.pathname))
	const { status, headers, body } = found ? await route({ request, url, visit }) : page(404, 'Nothing here', '')
	response.writeHead(status, {
		'Cache-Control': 'no-store',
		'Content-Security-Policy': "default-src 'none'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		'Referrer-Policy': 'no-referrer',
		'X-Content-Type-Options': 'nosniff',
		...headers,
	})
	response.end(body)
})

const [host, port] = LISTEN.split(':')
server.listen(Number(port), host)
