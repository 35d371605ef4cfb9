-- Storing and publishing a message. Needs bus.lua.

-- f: the room's epoch, seq, last and hmax; is_json, message and room_name: see room_message.lua. What follows are
-- further fields of the room to set. Returns the message's id.
local function store_message(room_key, history_key, f, is_json, message, room_name, ...)
  local epoch, seq, id, max = f[1], tonumber(f[2]) + 1, tonumber(f[3]) + 1, tonumber(f[4])
  local stored
  if is_json then
    stored = '{"id":' .. id .. message
  else
    stored = '\1' .. cmsgpack.pack(id) .. message
  end
  -- LPUSH comes first because it fails when Redis is out of memory, and a failing script does not undo its writes.
  if max > 0 and redis.call('LPUSH', history_key, stored) > max then
    redis.call('LTRIM', history_key, 0, max - 1)
  end
  redis.call('HSET', room_key, 'seq', seq, 'last', id, ...)
  if is_json then
    send(room_key, '["' .. epoch .. '",' .. seq .. ',' .. id .. ',' .. room_name .. ',' .. stored .. ']')
  else
    publish(room_key, {1, epoch, seq, id, room_name}, message)
  end
  return id
end
