-- Add names to an access list, remove others, and remove the users who lose access from the room.
-- ARGV: 1 inner_key  2 outer_key  3 actor or ''  4 bypass (0 or 1)  5 list (2, 3 or 4: index in KEYS)  6 now (ms)
--   7 limit  8 room_name  9 list_name  10 count of the names to add, then those names, then the names to remove
-- Returns {0, removed users as in lib/remove.lua, epoch, seq}, or {'banned', the ban}, {'noRoom'}, {'notAllowed'}, {'listLimitExceeded'}.
-- include: bus
-- include: room
-- include: details
-- include: actor_ban
-- include: room_event
-- include: clock
-- include: history_size
-- include: history_age
-- include: room_expiry
-- include: remove
local actor, bypass, list, now, limit = ARGV[3], ARGV[4] == '1', tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local room_name, list_name = ARGV[8], ARGV[9]
local first_added, first_removed = 11, 11 + tonumber(ARGV[10])
local list_key = KEYS[list]

local ban = find_ban()
if ban then return {'banned', ban} end
local room = load_room()
if not room then return {'noRoom'} end
if not bypass and not is_owner(room, actor) then
  -- Admins may not change the adminlist, nor anything about the owner.
  if list_key == adminlist_key or not is_admin(room, actor) then return {'notAllowed'} end
  for at = first_added, #ARGV do
    if ARGV[at] == room.owner then return {'notAllowed'} end
  end
end
local seen, new = {}, 0
for at = first_added, first_removed - 1 do
  local name = ARGV[at]
  if not seen[name] then
    seen[name] = true
    if redis.call('SISMEMBER', list_key, name) == 0 then new = new + 1 end
  end
end
if new > 0 and redis.call('SCARD', list_key) + new > limit then return {'listLimitExceeded'} end
-- The room is told of what changes, not of names that were there already, or were not there.
local added, removed = {}, {}
for at = first_added, first_removed - 1 do
  if redis.call('SADD', list_key, ARGV[at]) == 1 then added[#added + 1] = ARGV[at] end
end
if #added > 0 then expire_with_room(room, list_key) end
for at = first_removed, #ARGV do
  if redis.call('SREM', list_key, ARGV[at]) == 1 then removed[#removed + 1] = ARGV[at] end
end
local before = room.seq
if room.lists_updates then
  if #added > 0 then
    publish_room_event(room, 'roomAccessListAdded', cmsgpack.pack({room_name, list_name, added}))
  end
  if #removed > 0 then
    publish_room_event(room, 'roomAccessListRemoved', cmsgpack.pack({room_name, list_name, removed}))
  end
end
local out = {}
for at = first_added, #ARGV do
  local name = ARGV[at]
  if redis.call('HEXISTS', members_key, name) == 1 and not has_access(room, name) then
    out[#out + 1] = name
  end
end
local gone = remove_users(room, out, now)
if room.seq ~= before then redis.call('HSET', room_key, 'seq', room.seq) end
return {0, gone, room.epoch, room.seq}
