-- Decide a change of an access list by so many names that slices make it (lib/pending.lua).
-- ARGV: 1 actor or ''  2 bypass (0 or 1)  3 list (2, 3 or 4: index in KEYS)  4 now (ms)  5 limit  6 room_name
--   7 list_name  8 staged_key: has the names as pending_key, and is one of the room's keys
--   9 count of the names to add
-- Returns {0, {{}, id of lib/leaving.lua}, epoch, seq}, or {'banned', the ban}, {'noRoom'}, {'notAllowed'},
--   {'listLimitExceeded'}, {'clearing', id}: room_clear.lua has to finish an earlier change first.
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
-- include: pending
local actor, bypass, list, now, limit = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local room_name, list_name, staged_key, added = ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9])
local list_key = KEYS[list]

local function is_staged(name)
  return redis.call('ZSCORE', staged_key, name) or redis.call('ZSCORE', staged_key, REMOVED_SIGN .. name)
end

local function refuse(...)
  redis.call('UNLINK', staged_key)
  return {...}
end

local ban = find_ban()
if ban then return refuse('banned', ban) end
local room = load_room()
if not room then return refuse('noRoom') end
if not bypass and not is_owner(room, actor) then
  -- Admins may not change the adminlist, nor anything about the owner.
  if list_key == adminlist_key or not is_admin(room, actor) or is_staged(room.owner) then return refuse('notAllowed') end
end
if room.leaving then return refuse('clearing', parse_leaving(room)) end
if redis.call('EXISTS', staged_key) == 0 then error({err = 'ERR the names of the change are gone'}) end
local excess = redis.call('SCARD', list_key) + added - limit
if added > 0 and excess > 0 then
  -- Names to remove are not in the list, because of their sign. Names that are all there already change nothing.
  local known = redis.call('ZINTERCARD', 2, staged_key, list_key)
  if known < math.min(excess, added) then return refuse('listLimitExceeded') end
end
redis.call('RENAME', staged_key, pending_key)
redis.call('PERSIST', pending_key)
expire_with_room(room, pending_key)
local gone = begin_pending(room, now, {'names', now, list, list_name, room_name})
redis.call('HSET', room_key, 'seq', room.seq)
return {0, gone, room.epoch, room.seq}
