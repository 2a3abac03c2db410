// SPDX-License-Identifier: Apache-2.0

package redisstore

import "github.com/redis/go-redis/v9"

// All keys of a script are in one slot. Each script may be repeated: what it has done already it recognises and does not do again. The
// clock is the caller's; a time to live is relative, so the server's clock need not be right.

// keepLonger gives a key at least this time to live.
//
//nolint:dupword // Lua ends its blocks so
const keepLonger = `
local function keep(key, ttl)
	if redis.call('PTTL', key) < tonumber(ttl) then redis.call('PEXPIRE', key, ttl) end
end
`

// swapScript replaces a value that is still the one that was read, and tells all nodes. It returns {1, ""}, or {0, value there is}.
//
// KEYS: entry. ARGV: old value, new value, milliseconds to live, channel or "", message.
var swapScript = redis.NewScript(`
local current = redis.call('GET', KEYS[1]) or ''
if current == ARGV[2] then return {1, ''} end
if current == '' or current ~= ARGV[1] then return {0, current} end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return {1, ''}
`)

// removeScript removes an entry, tells all nodes, and returns what was there.
//
// KEYS: entry. ARGV: channel, message.
var removeScript = redis.NewScript(`
local current = redis.call('GET', KEYS[1])
if current then
	redis.call('DEL', KEYS[1])
	redis.call('PUBLISH', ARGV[1], ARGV[2])
end
return current
`)

// reserveScript counts a new transaction unless a cap is reached: in the counter of all, and in that of its client if there is one.
// What has ended does not count. It returns "reserved", "known" if it is counted already, "full" or "client".
//
// KEYS: counter of all, counter of the client if any. ARGV: transaction, now, end, milliseconds to live, cap of all, cap of a client.
var reserveScript = redis.NewScript(keepLonger + `
for _, key in ipairs(KEYS) do redis.call('ZREMRANGEBYSCORE', key, '-inf', ARGV[2]) end
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 'known' end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[5]) then return 'full' end
if KEYS[2] and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) then return 'client' end
for _, key in ipairs(KEYS) do
	redis.call('ZADD', key, ARGV[3], ARGV[1])
	keep(key, ARGV[4])
end
return 'reserved'
`)

// settleScript makes the counters say what a transaction has become.
//
// KEYS: counter of all, counter of the client if any. ARGV: transaction, end or "" if it is gone, milliseconds to live, "1" if it counts
// for its client.
//
//nolint:dupword // Lua ends its blocks so
var settleScript = redis.NewScript(keepLonger + `
for i, key in ipairs(KEYS) do
	if ARGV[2] ~= '' and (i == 1 or ARGV[4] == '1') then
		redis.call('ZADD', key, ARGV[2], ARGV[1])
		keep(key, ARGV[3])
	else
		redis.call('ZREM', key, ARGV[1])
	end
end
return 1
`)

// revokeScript stores a revocation if the value in its place is still the one that was read, gives it the next number, and tells all
// nodes. It clears away what has ended. It returns "stored", "changed" or "full".
//
// KEYS: values, order, ends, state. ARGV: field, old value or "", new value, what ended before is cleared, end, milliseconds to live,
// cap, epoch if there is none, channel, message.
//
//nolint:dupword // Lua ends its blocks so
var revokeScript = redis.NewScript(keepLonger + `
local current = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if current == ARGV[3] then return 'stored' end
if current ~= ARGV[2] then return 'changed' end
for _, field in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[4], 'LIMIT', 0, 1000)) do
	if field ~= ARGV[1] then
		redis.call('HDEL', KEYS[1], field)
		redis.call('ZREM', KEYS[2], field)
		redis.call('ZREM', KEYS[3], field)
	end
end
if current == '' and redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[7]) then return 'full' end
redis.call('HSETNX', KEYS[4], 'epoch', ARGV[8])
local number = redis.call('HINCRBY', KEYS[4], 'number', 1)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('ZADD', KEYS[2], number, ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[5], ARGV[1])
for _, key in ipairs(KEYS) do keep(key, ARGV[6]) end
redis.call('PUBLISH', ARGV[9], ARGV[10])
return 'stored'
`)
