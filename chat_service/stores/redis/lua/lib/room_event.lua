-- Publishing what happens in a room. Needs bus.lua and room.lua.

-- A packed empty list: the body of an event that clients are not told about.
local NO_BODY = '\144'

-- Recent events are kept so that an instance can catch up after its subscription breaks: how many of them, for
-- how many seconds, and up to how many bytes each.
local CHANGES_KEPT, CHANGES_TTL, CHANGE_SIZE = 200, 600, 16384

-- Publish and keep the next event of a room. This advances room.seq, which the caller has to store.
-- stayed: with it, everybody but these users was removed.
local function publish_room_event(room, event, body, exclude, removed, announced, stayed)
  room.seq = room.seq + 1
  local payload = cmsgpack.pack(
    {0, room.epoch, room.seq, room.last, event, exclude or {}, removed or {}, announced or {}, stayed}) .. body
  -- LPUSH comes first because it fails when Redis is out of memory, and nothing must have been published then.
  if #payload <= CHANGE_SIZE then
    if redis.call('LPUSH', changes_key, payload) > CHANGES_KEPT then
      redis.call('LTRIM', changes_key, 0, CHANGES_KEPT - 1)
    end
    redis.call('EXPIRE', changes_key, CHANGES_TTL)
    -- An empty room goes with all its keys: room_expiry.lua.
    if room.gone then redis.call('PEXPIREAT', changes_key, room.gone, 'LT') end
  end
  send(room_key, payload)
end
