-- Let a user create a room, if their bans and limits allow it.
-- KEYS: of lib/user.lua, then, with a rate or a limit, 8 owned_key (sorted set)  9 pace_key (string);
--   with a permit, these and 10 permits_key (sorted set: see lib/permits.lua)
-- ARGV: with a rate, a limit or a permit, 1 limit: the number of rooms that the user may own, or 0 for any
--   2 entry of the new room in owned_key  3 ms after which an entry is due for a check
--   4 ms for which owned_key is kept without a new room, or '' for ever
--   5 interval or ''  6 tolerance (see lib/pace.lua)
--   with a permit, all of these, and 7 permit  8 lifetime (ms), then its places
-- Returns {0, 1}; {0, 0, entries due for a check} if the limit is reached, unless some of them are stale; or
--   {'banned', the ban}, {'rateLimited', ms to wait}.
-- include: clock
-- include: user
-- include: pace
-- include: permits
local limit, entry, check_after, kept = tonumber(ARGV[1] or 0), ARGV[2], ARGV[3], ARGV[4]
local interval, tolerance, owned_key, pace_key = tonumber(ARGV[5]), tonumber(ARGV[6]), KEYS[USER_KEYS + 1], KEYS[USER_KEYS + 2]
local permit, lifetime, first_place = ARGV[7], ARGV[8], 9
-- Entries to check at once.
local MOST = 100

local ban = redis.call('GET', ban_key)
if ban then return {'banned', ban} end
local wait, turn
if interval then
  wait, turn = ask_turn(pace_key, interval, tolerance)
  if wait then return {'rateLimited', wait} end
end
if limit > 0 then
  local owned, now = redis.call('ZCARD', owned_key), now_ms()
  -- The caller may repeat a command whose answer was lost.
  if owned >= limit and not redis.call('ZSCORE', owned_key, entry) then
    local due = redis.call('ZRANGE', owned_key, '-inf', now - check_after, 'BYSCORE', 'LIMIT', 0, MOST)
    -- Whoever asks next need not check them again.
    for _, each in ipairs(due) do redis.call('ZADD', owned_key, now, each) end
    -- The caller tries again after the check, which then counts for the rate.
    if turn and #due == 0 then take_turn(pace_key, turn) end
    return {0, 0, due}
  end
  redis.call('ZADD', owned_key, now, entry)
  if kept == '' then
    redis.call('PERSIST', owned_key)
  elseif owned == 0 then
    redis.call('PEXPIREAT', owned_key, now + kept)
  else
    -- Rooms that never go by themselves keep it for ever.
    redis.call('PEXPIREAT', owned_key, now + kept, 'XX')
  end
end
if turn then take_turn(pace_key, turn) end
if permit then give_permit(KEYS[USER_KEYS + 3], permit, lifetime, first_place) end
return {0, 1}
