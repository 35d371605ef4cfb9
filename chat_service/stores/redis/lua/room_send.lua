-- Store and publish a message on conditions: once per key, or only after the message that the sender knows as the last.
-- KEYS: 1 room_key (hash, and the channel)  2 members_key (hash)  3 history_key (list)
--   4 times_key (list), then sent_key (string, only with an idempotency key): birth ':' id ':' digest;
--   pace_key (string, only with a rate)
-- ARGV: 1 inner_key  2 outer_key  3 actor or ''  4 bypass (0 or 1)  5 is_json (0 or 1)  6 message  7 room_name: as in
--   room_message.lua  8 expected last id or ''  9 digest  10 window (ms): both of the idempotency key
--   with a rate: 11 interval  12 tolerance (see lib/pace.lua)
-- Returns {0, id, is_duplicate (0 or 1)}, or {'noRoom'}, {'idempotencyConflict'}, {'notJoined'}, {'conflict', last id},
--   {'rateLimited', ms to wait}.
-- include: bus
-- include: clock
-- include: history_size
-- include: history_age
-- include: message
-- include: pace
local room_key, members_key, history_key, times_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local actor, bypass, is_json, message, room_name = ARGV[3], ARGV[4] == '1', ARGV[5] == '1', ARGV[6], ARGV[7]
local expected, digest, window = ARGV[8], ARGV[9], ARGV[10]
local interval, tolerance = tonumber(ARGV[11]), tonumber(ARGV[12])
local pace_key = interval and KEYS[#KEYS]
local sent_key = KEYS[5] ~= pace_key and KEYS[5] or nil

local f = redis.call('HMGET', room_key, 'epoch', 'seq', 'last', 'hmax', 'hb', 'httl', 'gone', 'birth')
if not f[1] then return {'noRoom'} end
-- Rooms of earlier versions get a birth with the first key: the epoch of this moment, which no other life has.
local birth = f[8] or f[1]
-- The key comes before the rules: the message was stored, whatever happened to the sender since.
local remembered = sent_key and redis.call('GET', sent_key)
if remembered then
  local its_birth, id, its_digest = string.match(remembered, '^([^:]*):(%d+):(.*)$')
  -- The keys of a deleted room mean nothing in its next life.
  if its_birth == birth then
    if its_digest ~= digest then return {'idempotencyConflict'} end
    return {0, tonumber(id), 1}
  end
end
if not bypass and (actor == '' or redis.call('HEXISTS', members_key, actor) == 0) then
  return {'notJoined'}
end
if expected ~= '' and expected ~= f[3] then return {'conflict', tonumber(f[3])} end
local wait, turn
if pace_key then
  wait, turn = ask_turn(pace_key, interval, tolerance)
  if wait then return {'rateLimited', wait} end
end
if not sent_key then
  local id = store_message(room_key, history_key, times_key, f, is_json, message, room_name)
  if turn then take_turn(pace_key, turn) end
  return {0, id, 0}
end
local id = store_message(room_key, history_key, times_key, f, is_json, message, room_name, 'birth', birth)
redis.call('SET', sent_key, birth .. ':' .. id .. ':' .. digest, 'PX', window)
if turn then take_turn(pace_key, turn) end
return {0, id, 0}
