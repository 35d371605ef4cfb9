-- Store and publish a message on conditions: once per key, or only after the message that the sender knows as the last.
-- KEYS: 1 room_key (hash, and the channel)  2 members_key (hash)  3 history_key (list)
--   4 times_key (list)  5 interactions_key (hash)  6 adminlist_key (set), then, only in a conversation, whitelist_key
--   (set) and, if the keys of the recipient may be used together with the room's, those of their user (hash), blacklist
--   and whitelist (sets); sent_key (string, only with an idempotency key): birth ':' id ':' digest; pace_key (string, only with a rate)
-- ARGV: 1 actor or ''  2 bypass (0 or 1)  3 is_json (0 or 1)  4 message  5 room_name: as in
--   room_message.lua  6 expected last id or ''  7 digest  8 window (ms): both of the idempotency key
--   9 interval or ''  10 tolerance (see lib/pace.lua)  11 direct_keys: how many keys a conversation adds  12 its
--   recipient; with a relation to another message (see lib/interactions.lua): 13 kind  14 id  15 reaction
--   16 epoch or ''  17 limit  18 and 19 the ends of the actor's messages
-- Returns {0, id, is_duplicate (0 or 1)}, {0, 0, 0} if the recipient has left the conversation, or {'noUser', name}, {'noRoom'}, {'idempotencyConflict'}, {'notJoined'}, {'conflict', last id},
--   {'noMessage', id}, {'notAllowed'}, {'limitExceeded', of what}, {'rateLimited', ms to wait}.
-- include: bus
-- include: clock
-- include: history_size
-- include: history_age
-- include: message
-- include: pace
-- include: interactions
local room_key, members_key, history_key, times_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local interactions_key, adminlist_key = KEYS[5], KEYS[6]
local actor, bypass, is_json, message, room_name = ARGV[1], ARGV[2] == '1', ARGV[3] == '1', ARGV[4], ARGV[5]
local expected, digest, window = ARGV[6], ARGV[7], ARGV[8]
local interval, tolerance = tonumber(ARGV[9]), tonumber(ARGV[10])
local direct_keys, recipient = tonumber(ARGV[11]), ARGV[12]
local whitelist_key = direct_keys > 0 and KEYS[7]
local kind, target_id, reaction, target_epoch, limit = ARGV[13], ARGV[14], ARGV[15], ARGV[16], tonumber(ARGV[17])
local stored_start, stored_end = ARGV[18], ARGV[19]
local pace_key = interval and KEYS[#KEYS]
local sent_key = KEYS[7 + direct_keys]
if sent_key == pace_key then sent_key = nil end

local f = redis.call('HMGET', room_key, 'epoch', 'seq', 'last', 'hmax', 'hb', 'httl', 'gone', 'birth', 'owner', 'pending')
if not f[1] then return {'noRoom'} end
-- See lib/pending.lua.
if f[10] then error({err = 'UNFINISHED'}) end
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
if direct_keys > 1 then
  local user_key, blacklist_key, accepted_key = KEYS[8], KEYS[9], KEYS[10]
  local mode = redis.call('HGET', user_key, 'wl')
  if not mode then return {'noUser', recipient} end
  -- rules.has_direct_access
  if redis.call('SISMEMBER', blacklist_key, actor) == 1
    or (mode == '1' and redis.call('SISMEMBER', accepted_key, actor) == 0) then
    return {'notAllowed'}
  end
end
if whitelist_key and redis.call('SISMEMBER', whitelist_key, recipient) == 0 then return {0, 0, 0} end
if expected ~= '' and expected ~= f[3] then return {'conflict', tonumber(f[3])} end
local relation, found
local room = {epoch = f[1], birth = birth, last = tonumber(f[3]), ttl = tonumber(f[6])}
local keys = {history = history_key, times = times_key, interactions = interactions_key}
if kind then
  relation = {
    kind = kind, id = target_id, reaction = reaction, epoch = target_epoch, limit = limit, author = actor,
    ends = {stored_start, stored_end},
    is_admin = bypass or actor == f[9],
  }
  if not relation.is_admin and (relation.kind == 'edit' or relation.kind == 'deletion') then
    relation.is_admin = redis.call('SISMEMBER', adminlist_key, actor) == 1
  end
  local answer
  answer, found = judge_relation(relation, room, keys)
  if answer then
    if answer[3] and sent_key then
      redis.call('SET', sent_key, birth .. ':' .. answer[2] .. ':' .. digest, 'PX', window)
      redis.call('HSET', room_key, 'birth', birth)
    end
    return answer
  end
end
local wait, turn
if pace_key then
  wait, turn = ask_turn(pace_key, interval, tolerance)
  if wait then return {'rateLimited', wait} end
end
local id
if sent_key or found then
  id = store_message(room_key, history_key, times_key, f, is_json, message, room_name, 'birth', birth)
else
  id = store_message(room_key, history_key, times_key, f, is_json, message, room_name)
end
if found then keep_relation(relation, room, keys, found, id, tonumber(f[7])) end
if sent_key then redis.call('SET', sent_key, birth .. ':' .. id .. ':' .. digest, 'PX', window) end
if turn then take_turn(pace_key, turn) end
return {0, id, 0}
