-- Empty rooms, which Redis removes by itself. Needs clock.lua, room.lua, room_event.lua, history_size.lua and
-- history_age.lua.

-- The field 'ettl' of a room is the time in ms for which it may be empty. While it is, the field 'gone' is the Unix
-- time in ms at which all its keys expire.

-- Let a room expire if it is empty. Call it when the last member has left.
local function expire_if_empty(room)
  if not room.empty_ttl or redis.call('EXISTS', members_key) == 1 then return end
  room.gone = now_ms() + room.empty_ttl
  redis.call('HSET', room_key, 'gone', room.gone)
  for at = 1, ROOM_KEYS do
    -- Changes and the history may expire before.
    redis.call('PEXPIREAT', KEYS[at], room.gone, 'LT')
  end
end

-- Let a room stay: it has a member, or no time limit any longer.
local function stop_expiry(room)
  if not room.gone then return end
  redis.call('HDEL', room_key, 'gone')
  room.gone = nil
  for at = 1, ROOM_KEYS do
    redis.call('PERSIST', KEYS[at])
  end
  redis.call('EXPIRE', changes_key, CHANGES_TTL)
  local newest = room.history_ttl and redis.call('LINDEX', times_key, 0)
  if newest then
    expire_history(history_key, times_key, tonumber(newest), room.history_ttl, nil, interactions_key)
  end
end

-- A key that a change may have created goes with its room.
local function expire_with_room(room, key)
  if room.gone then redis.call('PEXPIREAT', key, room.gone) end
end
