-- Store several messages of one sender under the next ids and publish each.
-- KEYS: as for room_message.lua
-- ARGV: 1 actor or ''  2 bypass (0 or 1), then is_json, message and room_name of each message,
--   as for room_message.lua
-- Returns {0, the id of the first}, or {'noRoom'}, {'notJoined'}.
-- include: bus
-- include: clock
-- include: history_size
-- include: history_age
-- include: message
local room_key, members_key, history_key, times_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local actor, bypass = ARGV[1], ARGV[2] == '1'

local state = redis.call('HMGET', room_key, 'epoch', 'pending')
if not state[1] then return {'noRoom'} end
-- See lib/pending.lua.
if state[2] then error({err = 'UNFINISHED'}) end
if not bypass and (actor == '' or redis.call('HEXISTS', members_key, actor) == 0) then
  return {'notJoined'}
end
local first
for at = 3, #ARGV, 3 do
  local is_json, message, room_name = ARGV[at] == '1', ARGV[at + 1], ARGV[at + 2]
  local f = redis.call('HMGET', room_key, 'epoch', 'seq', 'last', 'hmax', 'hb', 'httl', 'gone')
  local id = store_message(room_key, history_key, times_key, f, is_json, message, room_name)
  first = first or id
end
return {0, first}
