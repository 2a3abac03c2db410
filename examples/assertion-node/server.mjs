// SPDX-License-Identifier: Apache-2.0

// An app behind the gate that believes no header but the signed assertion. SITE is the origin of the gated site, LISTEN the
// address to listen on.

import { createServer } from 'node:http'
import { verifierOf } from './verify.mjs'

const verify = verifierOf(process.env.SITE)

const app = createServer(async (request, response) => {
	const answer = (status, text) => {
		response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' })
		response.end(text + '\n')
	}
	let who
	try {
		who = await verify(request.headers['x-verified-id-assertion'])
	} catch (error) {
		console.error('refused:', error.code ?? error.message)
		return answer(401, 'Nobody.')
	}
	// The site may have other gates: this page is for employees with a live face.
	const shown = who.verified_id
	if (shown.credential !== 'employee' || !(shown.face_check?.threshold >= 80)) {
		return answer(403, 'Not for you.')
	}
	answer(200, `Hello, ${shown.claims.displayName}.`)
})

const [host, port] = process.env.LISTEN.split(':')
app.listen(Number(port), host)
