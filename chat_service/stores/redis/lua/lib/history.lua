-- Reading part of a history within a budget of bytes. Needs clock.lua and room.lua.

-- How many of the stored messages are young enough: those at the first positions. Changes nothing, so that histories
-- can be read while Redis takes no changes.
local function count_stored(room)
  local stored = redis.call('LLEN', history_key)
  if not room.history_ttl or stored == 0 then return stored end
  local limit, timed = now_ms() - room.history_ttl, redis.call('LLEN', times_key)
  -- Of the times, those before `low` are young, those from `high` on are not.
  local low, high = 0, timed
  local at = timed - 1
  while low < high do
    if tonumber(redis.call('LINDEX', times_key, at)) > limit then low = at + 1 else high = at end
    at = math.floor((low + high) / 2)
  end
  -- Messages of instances of an earlier version, which are the newest, have no time.
  return math.min(stored, low + math.max(stored - timed, 0))
end

-- How many messages are read in one go. The last ones of them may exceed the budget, and are read for nothing.
local HISTORY_SLICE = 10

-- The messages at the positions first to last of the list, where the newest one is at 0; newest first. With a budget
-- (bytes; nil: any) only as many as fit, counted from one end of the range, but at least one.
local function read_history(history_key, first, last, budget, from_oldest)
  if first > last then return {} end
  if not budget then return redis.call('LRANGE', history_key, first, last) end
  local taken, used, is_full = {}, 0, false
  while not is_full and first <= last do
    local from, upto = first, math.min(first + HISTORY_SLICE - 1, last)
    if from_oldest then from, upto = math.max(last - HISTORY_SLICE + 1, first), last end
    local slice = redis.call('LRANGE', history_key, from, upto)
    for at = 1, #slice do
      local item = slice[from_oldest and #slice + 1 - at or at]
      used = used + #item
      is_full = used > budget and #taken > 0
      if is_full then break end
      taken[#taken + 1] = item
    end
    if from_oldest then last = from - 1 else first = upto + 1 end
    is_full = is_full or used >= budget
  end
  if not from_oldest then return taken end
  local newest_first = {}
  for at = #taken, 1, -1 do newest_first[#newest_first + 1] = taken[at] end
  return newest_first
end
