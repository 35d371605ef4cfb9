-- Store a message under the next id and publish it.
-- KEYS: 1 room (hash, and the channel)  5 members (hash)  7 history (stream); the others of lib/room.lua too
-- ARGV: 1 inner key  2 outer key  3 actor or ''  4 bypass (0 or 1)  5 packed message  6 room's name
-- Returns {0, id}, or {'noRoom'}, {'notJoined'}.
-- include: bus
local f = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'last', 'hmax')
if not f[1] then return {'noRoom'} end
if ARGV[4] ~= '1' and (ARGV[3] == '' or redis.call('HEXISTS', KEYS[5], ARGV[3]) == 0) then
  return {'notJoined'}
end
local seq, id, max = tonumber(f[2]) + 1, tonumber(f[3]) + 1, tonumber(f[4])
-- First what may fail: a script that fails leaves what it wrote before.
if max > 0 then
  redis.call('XADD', KEYS[7], 'MAXLEN', '=', max, id .. '-0', 'm', ARGV[5])
end
redis.call('HSET', KEYS[1], 'seq', seq, 'last', id)
publish(KEYS[1], ARGV[1], ARGV[2], {1, f[1], seq, id, ARGV[6]}, ARGV[5])
return {0, id}
