-- Let a user create a room, if their bans and limits allow it.
-- KEYS: of lib/user.lua, then, with a rate, 7 pace_key (string)
-- ARGV: with a rate, 1 interval  2 tolerance (see lib/pace.lua)
-- Returns {0}, or {'banned', the ban}, {'rateLimited', ms to wait}.
-- include: user
-- include: pace
local interval, tolerance, pace_key = tonumber(ARGV[1]), tonumber(ARGV[2]), KEYS[7]

local ban = redis.call('GET', ban_key)
if ban then return {'banned', ban} end
if interval then
  local wait, turn = ask_turn(pace_key, interval, tolerance)
  if wait then return {'rateLimited', wait} end
  take_turn(pace_key, turn)
end
return {0}
