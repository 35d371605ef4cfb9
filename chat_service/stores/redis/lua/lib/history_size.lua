-- Keeping a history within a number of messages and of bytes.

-- A room's field 'hb' is max_bytes:bytes:last:count: the limit, and the bytes of the count messages that were stored
-- when last was the id of the newest one. Rooms of earlier versions have no such field, and no limit of bytes.

-- Returns the four as strings, which arithmetic takes for numbers; nothing without a valid field.
local function parse_size(field)
  if field then return string.match(field, '^(%d+):(%d+):(%d+):(%d+)$') end
end

local function format_size(max_bytes, bytes, last, count)
  return max_bytes .. ':' .. bytes .. ':' .. last .. ':' .. count
end

-- Count the bytes from the newest message on, and drop those that exceed the limit. The newest one stays. Reads ten
-- messages at a time, and no more than the limit allows. Returns the field 'hb'.
local function recount(history_key, last, max_bytes)
  local bytes, count, limit = 0, 0, tonumber(max_bytes)
  for at = 0, redis.call('LLEN', history_key) - 1, 10 do
    for _, item in ipairs(redis.call('LRANGE', history_key, at, at + 9)) do
      if count > 0 and bytes + #item > limit then
        redis.call('LTRIM', history_key, 0, count - 1)
        return format_size(max_bytes, bytes, last, count)
      end
      bytes, count = bytes + #item, count + 1
    end
  end
  return format_size(max_bytes, bytes, last, count)
end

-- How many messages may be stored without a count before all are counted again.
local RECOUNT_AFTER = 64

-- Drop the oldest messages beyond the limits after one of `size` bytes was stored under `id`; `count`: how many there
-- are now; then what parse_size returned. Returns the new field, or nil to leave it as it is.
local function keep_within(history_key, id, count, size, max, max_bytes, bytes, last, counted)
  if count == 1 then return format_size(max_bytes, size, id, 1) end
  if last + 1 ~= id or counted + 1 ~= count then
    -- Somebody else has stored or dropped messages: an instance of an earlier version, which runs beside this one.
    if count > max then redis.call('LTRIM', history_key, 0, max - 1) end
    if id - last < RECOUNT_AFTER then return nil end
    return recount(history_key, id, max_bytes)
  end
  bytes = bytes + size
  local limit = tonumber(max_bytes)
  while count > max or (bytes > limit and count > 1) do
    bytes = bytes - #redis.call('RPOP', history_key)
    count = count - 1
  end
  return format_size(max_bytes, bytes, id, count)
end
