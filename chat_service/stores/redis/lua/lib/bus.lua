-- Publishing from inside a script. The layout is that of envelopes.py.

local function raw_sha1(data)
  return (redis.sha1hex(data):gsub('..', function(digits) return string.char(tonumber(digits, 16)) end))
end

-- Publish a payload on a channel; inner and outer are the keys of the HMAC, or empty.
local function send(channel, inner, outer, payload)
  local signature = ''
  if inner ~= '' then
    signature = raw_sha1(outer .. raw_sha1(inner .. channel .. '\0' .. payload))
  end
  redis.call('SPUBLISH', channel, '\1' .. signature .. payload)
end

-- Publish fields and a packed body.
local function publish(channel, inner, outer, fields, body)
  send(channel, inner, outer, cmsgpack.pack(fields) .. body)
end

-- The events of a room that are kept for instances whose subscription breaks: how many, for how many seconds,
-- and the largest one in bytes.
local CHANGES_KEPT, CHANGES_TTL, CHANGE_SIZE = 200, 600, 16384

-- Publish what happened in a room, and keep it for a while; state is the room's seq and last id, which go on
-- here. The caller writes state.seq back. Needs the KEYS of room.lua.
local function publish_room_event(channel, inner, outer, state, event, body, exclude, removed, announced)
  state.seq = state.seq + 1
  local payload = cmsgpack.pack(
    {0, state.epoch, state.seq, state.last, event, exclude or {}, removed or {}, announced or {}}) .. body
  -- First what may fail: a Redis out of memory takes no new entry.
  if #payload <= CHANGE_SIZE then
    if redis.call('LPUSH', KEYS[8], payload) > CHANGES_KEPT then
      redis.call('LTRIM', KEYS[8], 0, CHANGES_KEPT - 1)
    end
    redis.call('EXPIRE', KEYS[8], CHANGES_TTL)
  end
  send(channel, inner, outer, payload)
end
