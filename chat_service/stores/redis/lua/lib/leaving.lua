-- Users who were removed from a room, while some of the work for it is still to be done. Needs bus.lua, room.lua,
-- details.lua and room_event.lua.

-- A change that removes many users moves their members to the hash leaving_key(id). Slices (room_clear.lua) empty it.
-- While they do, the field 'leaving' of the room is id ':' the time of the change in ms; id is the room's epoch ':' the
-- sequence number of the change's event. In a member of that hash, announced may also be 2: the room knows of it.

-- Lifetime in seconds, which the key reaches only after a crash.
local LEAVING_TTL = 3600

local function leaving_key(id)
  return room_key .. ':leaving:' .. id
end

-- The id and the time of the change whose users are leaving; nothing if there is none.
local function parse_leaving(room)
  if room.leaving then return string.match(room.leaving, '^(.*):(%d+)$') end
end

-- Complete the leaving of one user, before the same user joins again or when the sockets of that user disconnect.
local function settle_leaving(room, user)
  local id, time = parse_leaving(room)
  local packed = id and redis.call('HGET', leaving_key(id), user)
  local member = packed and cmsgpack.unpack(packed)
  if not member or member[1] == 2 then return end
  local removed, announced = {user}, {}
  for at = 2, #member, 3 do removed[#removed + 1] = member[at] end
  if member[1] == 1 and room.userlist_updates then announced[1] = user end
  member[1] = 2
  redis.call('HSET', leaving_key(id), user, cmsgpack.pack(member))
  update_seen(user, time)
  forget_details(room, user)
  publish_room_event(room, '', NO_BODY, nil, {removed}, announced)
  redis.call('HSET', room_key, 'seq', room.seq)
end
