-- Store a message under the next id and publish it.
-- KEYS: 1 room_key (hash, and the channel)  2 members_key (hash)  3 history_key (list)
--   4 times_key (list)
-- ARGV: 1 actor or ''  2 bypass (0 or 1)  3 is_json (0 or 1)  4 message  5 room_name
--   as JSON: the message's text from the comma that follows its id; the room's name in quotes
--   otherwise: the packed message without its id; the room's plain name
-- Returns {0, id}, or {'noRoom'}, {'notJoined'}.
-- include: bus
-- include: clock
-- include: history_size
-- include: history_age
-- include: message
local room_key, members_key, history_key, times_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local actor, bypass, is_json, message, room_name = ARGV[1], ARGV[2] == '1', ARGV[3] == '1', ARGV[4], ARGV[5]

local f = redis.call('HMGET', room_key, 'epoch', 'seq', 'last', 'hmax', 'hb', 'httl', 'gone', 'pending')
if not f[1] then return {'noRoom'} end
-- See lib/pending.lua.
if f[8] then error({err = 'UNFINISHED'}) end
if not bypass and (actor == '' or redis.call('HEXISTS', members_key, actor) == 0) then
  return {'notJoined'}
end
return {0, store_message(room_key, history_key, times_key, f, is_json, message, room_name)}
