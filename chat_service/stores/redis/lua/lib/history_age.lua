-- Dropping old messages. Needs clock.lua and history_size.lua.

-- In a room with a limit of age, the list of times has the Unix time in ms of each message in the history, newest
-- first. Times never increase from one to the next. Both lists expire when the newest message is too old.

-- How many old messages one send drops.
local DROPPED_AT_ONCE = 100
-- How many times are added at once.
local TIMES_AT_ONCE = 1000

-- Let both lists expire with their newest message, or at `gone` with the room if that is earlier. further_key: expires
-- with them, if it is given.
local function expire_history(history_key, times_key, newest, ttl, gone, further_key)
  local at = newest + ttl
  if gone and gone < at then at = gone end
  redis.call('PEXPIREAT', history_key, at)
  redis.call('PEXPIREAT', times_key, at)
  if further_key then redis.call('PEXPIREAT', further_key, at) end
end

-- Give messages without a time the given one: they are older than those with a time.
local function fill_times(times_key, missing, time)
  while missing > 0 do
    local some = {}
    for at = 1, math.min(missing, TIMES_AT_ONCE) do some[at] = time end
    redis.call('RPUSH', times_key, unpack(some))
    missing = missing - #some
  end
end

-- Keep the time of a message that was stored just now, and drop some that are too old; field: the room's new 'hb'
-- or nil. Returns that field as it is then.
local function keep_young(history_key, times_key, ttl, gone, field)
  local now, newest = now_ms(), redis.call('LINDEX', times_key, 0)
  -- The clock may have gone back.
  if newest then now = math.max(now, tonumber(newest)) end
  local timed, stored = redis.call('LPUSH', times_key, now), redis.call('LLEN', history_key)
  if timed > stored then
    redis.call('LTRIM', times_key, 0, stored - 1)
  elseif timed < stored then
    -- Redis has evicted the times, or an instance of an earlier version has stored messages.
    fill_times(times_key, stored - timed, redis.call('LINDEX', times_key, -1))
  end
  local bytes, count = 0, 0
  while count < DROPPED_AT_ONCE and tonumber(redis.call('LINDEX', times_key, -1)) <= now - ttl do
    bytes = bytes + #redis.call('RPOP', history_key)
    redis.call('RPOP', times_key)
    count = count + 1
  end
  expire_history(history_key, times_key, now, ttl, gone)
  if not field or count == 0 then return field end
  local max_bytes, all_bytes, last, counted = parse_size(field)
  return format_size(max_bytes, all_bytes - bytes, last, counted - count)
end
