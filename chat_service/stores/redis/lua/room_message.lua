-- Store a message under the next id and publish it.
-- KEYS: 1 room (hash, and the channel)  2 members (hash)  3 history (list)
-- ARGV: 1 inner key  2 outer key  3 actor or ''  4 bypass (0 or 1)  5 is it JSON (0 or 1)  6 message  7 room's name
--   as JSON: message without its id and the opening brace, from the comma on; room's name with its quotes
--   else: packed message without its id; room's name as it is
-- Returns {0, id}, or {'noRoom'}, {'notJoined'}.
-- include: bus
local f = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'last', 'hmax')
if not f[1] then return {'noRoom'} end
if ARGV[4] ~= '1' and (ARGV[3] == '' or redis.call('HEXISTS', KEYS[2], ARGV[3]) == 0) then
  return {'notJoined'}
end
local seq, id, max = tonumber(f[2]) + 1, tonumber(f[3]) + 1, tonumber(f[4])
local is_json, stored = ARGV[5] == '1', nil
if is_json then
  stored = '{"id":' .. id .. ARGV[6]
else
  stored = '\1' .. cmsgpack.pack(id) .. ARGV[6]
end
-- First what may fail: a script that fails leaves what it wrote before.
if max > 0 and redis.call('LPUSH', KEYS[3], stored) > max then
  redis.call('LTRIM', KEYS[3], 0, max - 1)
end
redis.call('HSET', KEYS[1], 'seq', seq, 'last', id)
if is_json then
  send(KEYS[1], ARGV[1], ARGV[2], '["' .. f[1] .. '",' .. seq .. ',' .. id .. ',' .. ARGV[7] .. ',' .. stored .. ']')
else
  publish(KEYS[1], ARGV[1], ARGV[2], {1, f[1], seq, id, ARGV[7]}, ARGV[6])
end
return {0, id}
