-- Create a room.
-- If Redis evicted the room_key of a former room of this name, its other keys and members are removed first.
-- ARGV: 1 epoch  2 owner or ''  3 whitelist_only  4 userlist_updates  5 lists_updates
--   6 history_max  7 history_max_bytes or ''  8 history_ttl  9 empty_ttl (ms or '')
--   10 whether the room counts for the limit of its owner (0 or 1)
--   11 pair: of a conversation, which two users it belongs to, else ''
--   12 staged: what the keys of sets begin with that become the lists (see pending_changes.py), or ''
--   13 admins  14 blacklisted  15 whitelisted: counts of the names that follow in this order
-- A conversation that exists for the same pair is kept. One of former users of the same names is removed.
-- Returns {0, removed users as in lib/remove.lua, epoch, seq, names that are new in the whitelist}, or
--   {'banned', the ban}, {'roomExists'}.
-- include: bus
-- include: room
-- include: details
-- include: actor_ban
-- include: room_event
-- include: leaving
-- include: clock
-- include: history_size
-- include: history_age
-- include: room_expiry
-- include: remove
local epoch, owner, whitelist_only = ARGV[1], ARGV[2], ARGV[3]
local userlist_updates, lists_updates, history_max, history_max_bytes = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local history_ttl, empty_ttl = ARGV[8], ARGV[9]
local is_counted = ARGV[10] == '1'
local pair = ARGV[11]
local staged, admins, blacklisted, whitelisted = ARGV[12], tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])
local next_name = 16

local ban = find_ban()
if ban then return {'banned', ban} end
if redis.call('EXISTS', room_key) == 1 then
  if pair == '' then return {'roomExists'} end
  local f = redis.call('HMGET', room_key, 'pair', 'epoch', 'seq', 'gone', 'pending')
  if f[5] then error({err = 'UNFINISHED'}) end
  if f[1] == pair then
    local new = 0
    for at = next_name, #ARGV do new = new + redis.call('SADD', whitelist_key, ARGV[at]) end
    expire_with_room({gone = tonumber(f[4])}, whitelist_key)
    return {0, NOBODY_REMOVED, f[2], tonumber(f[3]), new}
  end
end
local room, gone = {epoch = epoch, seq = 0, last = 0}, NOBODY_REMOVED
if redis.call('EXISTS', unpack(KEYS, 1, ROOM_KEYS)) > 0 then
  -- The new epoch makes instances that serve the former room read this one.
  publish_room_event(room, '', NO_BODY)
  gone = remove_others(room, {}, {}, 0)
  redis.call('UNLINK', unpack(KEYS, 1, ROOM_KEYS))
end
-- The epoch may change later. Birth stays: idempotency keys belong to this life of the room.
redis.call('HSET', room_key, 'epoch', room.epoch, 'birth', room.epoch, 'seq', room.seq, 'last', 0, 'owner', owner,
  'wl', whitelist_only, 'uu', userlist_updates, 'au', lists_updates, 'hmax', history_max)
if history_max_bytes ~= '' then redis.call('HSET', room_key, 'hb', history_max_bytes .. ':0:0:0') end
if history_ttl ~= '' then redis.call('HSET', room_key, 'httl', history_ttl) end
if empty_ttl ~= '' then redis.call('HSET', room_key, 'ettl', empty_ttl) end
if pair ~= '' then redis.call('HSET', room_key, 'pair', pair) end
if is_counted then redis.call('HSET', room_key, 'counted', owner) end

local function add_names(list_key, list_name, count)
  if count > 0 then redis.call('SADD', list_key, unpack(ARGV, next_name, next_name + count - 1)) end
  next_name = next_name + count
  local staged_key = staged .. list_name
  if staged ~= '' and redis.call('EXISTS', staged_key) == 1 then
    redis.call('RENAME', staged_key, list_key)
    redis.call('PERSIST', list_key)
  end
end

add_names(adminlist_key, 'adminlist', admins)
add_names(blacklist_key, 'blacklist', blacklisted)
add_names(whitelist_key, 'whitelist', whitelisted)
room.empty_ttl = tonumber(empty_ttl)
expire_if_empty(room)
return {0, gone, room.epoch, room.seq, whitelisted}
