// SPDX-License-Identifier: Apache-2.0

// An identity-verification partner in small: it checks who sent the visitor, proves who they are, and sends them back. SITE is the
// origin of the relying party's site, ORG_ID its name here, ORIGIN where visitors find this partner, LISTEN the address to listen on.

import { createServer } from 'node:http'
import { randomUUID } from 'node:crypto'
import { verifierOf } from './verify.mjs'

const { SITE, ORG_ID, ORIGIN, LISTEN } = process.env
const verify = verifierOf({ site: SITE, orgId: ORG_ID, audience: ORIGIN })
const visits = new Map()

const routes = {
	// The link. It comes once; the redirect takes the token out of the address bar and the history.
	[`GET /${ORG_ID}/`]: ({ url }) => arrive(url.searchParams.getAll('token')),
	// The same by a form, for relying parties that write "method post". Its Origin is null: do not ask for one.
	[`POST /${ORG_ID}/`]: async ({ request }) => arrive(new URLSearchParams(await read(request)).getAll('token')),
	'GET /visit': ({ visit }) => page(200, 'Prove who you are',
		`<form method="post" action="/proven?id=${visit.id}"><button>This is my passport</button></form>
		<p><a class="back" href="${visit.redirectUrl}">Leave without a card</a></p>`),
	'POST /proven': ({ visit }) => issue(visit),
}

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

// issue is where the card is made: a createIssuanceRequest to Microsoft's Request Service, and its code on this page. Send the visitor
// back when the callback has said issuance_successful, by a link or a redirect to redirectUrl as it is.
function issue(visit) {
	visits.delete(visit.id)
	return page(200, 'You are verified', `<p><a class="back" href="${visit.redirectUrl}">Go back</a></p>`)
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
	const found = route && (visit || url.pathname === `/${ORG_ID}/`)
	const { status, headers, body } = found ? await route({ request, url, visit }) : page(404, 'Nothing here', '')
	response.writeHead(status, {
		'Cache-Control': 'no-store',
		'Content-Security-Policy': "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		'Referrer-Policy': 'no-referrer',
		'X-Content-Type-Options': 'nosniff',
		...headers,
	})
	response.end(body)
})

const [host, port] = LISTEN.split(':')
server.listen(Number(port), host)
