-- The ban of the user on whose behalf a room is changed. KEYS of every script that includes this, after those of
-- lib/room.lua, which it needs: 14 ban_key (string), if the user is a client: their ban, or where the
-- keys of the user and the room are in different slots, the ban that has taken back the permit (see permits.py)

local ban_key = KEYS[ROOM_KEYS + 1]

local function find_ban()
  return ban_key and redis.call('GET', ban_key)
end
