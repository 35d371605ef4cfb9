-- Storing and publishing a message. Needs bus.lua, clock.lua, history_size.lua and history_age.lua.

-- f: the room's epoch, seq, last, hmax, hb, httl and gone; is_json, message and room_name: see room_message.lua. Further
-- arguments are fields of the room to set. Returns the message's id.
local function store_message(room_key, history_key, times_key, f, is_json, message, room_name, ...)
  local epoch, seq, id, max = f[1], tonumber(f[2]) + 1, tonumber(f[3]) + 1, tonumber(f[4])
  local max_bytes, bytes, last, counted = parse_size(f[5])
  local stored
  if is_json then
    stored = '{"id":' .. id .. message
  else
    stored = '\1' .. cmsgpack.pack(id) .. message
  end
  -- LPUSH comes first because it fails when Redis is out of memory, and a failing script does not undo its writes.
  local field
  if max > 0 then
    local count = redis.call('LPUSH', history_key, stored)
    if max_bytes then
      field = keep_within(history_key, id, count, #stored, max, max_bytes, bytes, last, counted)
    elseif count > max then
      redis.call('LTRIM', history_key, 0, max - 1)
    end
    local ttl, gone = tonumber(f[6]), tonumber(f[7])
    if ttl then
      field = keep_young(history_key, times_key, ttl, gone, field)
    elseif gone and count == 1 then
      redis.call('PEXPIREAT', history_key, gone)
    end
  end
  if field then
    redis.call('HSET', room_key, 'seq', seq, 'last', id, 'hb', field, ...)
  else
    redis.call('HSET', room_key, 'seq', seq, 'last', id, ...)
  end
  if is_json then
    send(room_key, '["' .. epoch .. '",' .. seq .. ',' .. id .. ',' .. room_name .. ',' .. stored .. ']')
  else
    send(room_key, cmsgpack.pack({1, epoch, seq, id, room_name}) .. message)
  end
  return id
end
