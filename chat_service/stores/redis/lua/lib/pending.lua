-- Changes that have to look at so many names that slices do it (room_pending.lua). Needs bus.lua, room.lua, details.lua,
-- room_event.lua, room_expiry.lua, leaving.lua and remove.lua.

-- The change is decided: nothing can prevent it any longer. Until the last slice, the field 'pending' of the room is
-- a packed list of what is left to do, and every script about the room fails with UNFINISHED. The caller does the
-- slices itself, and repeats its script. So no command sees or changes the room before the whole change has
-- taken effect, and a crash leaves nothing that the next command does not finish.
-- {'names', time, index in KEYS of the list, list_name, room_name}: the sorted set pending_key has the names, in the
--   order of their scores. A name to remove from the list is preceded by REMOVED_SIGN, which no name contains.
-- {'sift', time, cursor}: find those of the members who have no access, with HSCAN.
-- Users who lose their access are moved to leaving_key(id) of lib/leaving.lua, whose slices follow.

local REMOVED_SIGN = '\0'

-- How many names a script looks at by itself.
local NAMES_AT_ONCE = 200

local function begin_pending(room, now, work)
  local id = room.epoch .. ':' .. room.seq + 1
  redis.call('HSET', room_key, 'leaving', id .. ':' .. now, 'pending', cmsgpack.pack(work))
  publish_room_event(room, '', NO_BODY)
  return {{}, id}
end

-- Whether finding those who lose their access by a mode takes more than one script: see remove_all_without_access.
local function is_long_to_sift(room)
  local decisive = room.whitelist_only and {whitelist_key, adminlist_key} or {blacklist_key}
  local count = 1
  for _, list_key in ipairs(decisive) do count = count + redis.call('SCARD', list_key) end
  return math.min(count, redis.call('HLEN', members_key)) > NAMES_AT_ONCE
end
