-- SPDX-License-Identifier: Apache-2.0
--
-- Asks the gate whether a request may go on, and puts its answer into variables of the transaction: verified_status,
-- verified_location, verified_cookie, and one for each identity header, such as verified_x_employee_name. With no answer,
-- verified_status is not set. HAProxy 2.6 or later: core.httpclient.

local gate = "http://127.0.0.1:8081/.verified-id/auth"

-- The names that the gate's Caddyfile sets.
local identity = {
	"x-verified-id-subject", "x-verified-id-issuer", "x-verified-id-type", "x-verified-id-credential", "x-verified-id-verified-at",
	"x-employee-name", "x-employee-mail",
}

-- What the gate may know of the client's request besides its address.
local asking = { "cookie", "accept", "authorization", "upgrade", "x-requested-with", "sec-fetch-mode", "sec-fetch-dest" }

local function ask(txn)
	local sent = txn.http:req_get_headers()
	local headers = {
		["host"] = { txn.sf:req_hdr("host") },
		["x-forwarded-method"] = { txn.sf:method() },
		["x-forwarded-host"] = { txn.sf:req_hdr("host") },
		["x-forwarded-uri"] = { txn.sf:pathq() },
		["x-forwarded-for"] = { txn.sf:src() },
	}
	for _, name in ipairs(asking) do
		local values = {}
		for _, value in pairs(sent[name] or {}) do
			table.insert(values, value)
		end
		if #values > 0 then
			headers[name] = values
		end
	end
	local answer = core.httpclient():get({ url = gate, headers = headers, timeout = 2000 })
	if not answer or not answer.status then
		return
	end
	local function keep(variable, name)
		local values = answer.headers[name]
		if values and values[0] then
			txn:set_var("txn." .. variable, values[0])
		end
	end
	for _, name in ipairs(identity) do
		keep("verified_" .. name:gsub("-", "_"), name)
	end
	keep("verified_location", "location")
	keep("verified_cookie", "set-cookie")
	txn:set_var("txn.verified_status", answer.status)
end

core.register_action("ask-verified-id", { "http-req" }, ask, 0)
