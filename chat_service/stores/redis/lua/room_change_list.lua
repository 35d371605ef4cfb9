-- Add names to an access list, remove others, and remove the users who lose access from the room.
-- ARGV: 1 actor or ''  2 bypass (0 or 1)  3 list (2, 3 or 4: index in KEYS)  4 now (ms)
--   5 limit  6 room_name  7 list_name  8 count of the names to add, then those names, then the names to remove
-- Returns {0, removed users as in lib/remove.lua, epoch, seq}, or {'banned', the ban}, {'noRoom'}, {'notAllowed'},
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
local actor, bypass, list, now, limit = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local room_name, list_name = ARGV[6], ARGV[7]
local first_added, first_removed = 9, 9 + tonumber(ARGV[8])
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
if must_clear_first(room, #ARGV - first_added + 1) then return {'clearing', parse_leaving(room)} end
-- Each name once, those that the list has or has not.
local function select_names(first, last, wanted)
  local names, known, found = {}, {}, {}
  for at = first, last do
    local name = ARGV[at]
    if not known[name] then
      known[name] = true
      names[#names + 1] = name
    end
  end
  in_parts(names, function(from, upto)
    for at, is_there in ipairs(redis.call('SMISMEMBER', list_key, unpack(names, from, upto))) do
      if is_there == wanted then found[#found + 1] = names[from + at - 1] end
    end
  end)
  return found
end

local function change_set(command, names)
  in_parts(names, function(first, last) redis.call(command, list_key, unpack(names, first, last)) end)
end

-- The room is told of what changes, not of names that were there already, or were not there.
local added = select_names(first_added, first_removed - 1, 0)
if #added > 0 then
  if redis.call('SCARD', list_key) + #added > limit then return {'listLimitExceeded'} end
  change_set('SADD', added)
  expire_with_room(room, list_key)
end
local removed = select_names(first_removed, #ARGV, 1)
change_set('SREM', removed)
local before = room.seq
if room.lists_updates then
  if #added > 0 then
    publish_room_event(room, 'roomAccessListAdded', cmsgpack.pack({room_name, list_name, added}))
  end
  if #removed > 0 then
    publish_room_event(room, 'roomAccessListRemoved', cmsgpack.pack({room_name, list_name, removed}))
  end
end
local named = {}
for at = first_added, #ARGV do named[#named + 1] = ARGV[at] end
local gone = remove_if_without_access(room, named, now)
if room.seq ~= before then redis.call('HSET', room_key, 'seq', room.seq) end
return {0, gone, room.epoch, room.seq}
