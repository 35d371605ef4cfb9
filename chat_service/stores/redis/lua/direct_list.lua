-- Add a conversation to the list of one of its users.
-- KEYS: of lib/user.lua, then, with a rate, 8 pace_key (string)
-- ARGV: 1 room  2 limit: the number of conversations in the list  3 birth: a new text for the field '' of the list
--   4 check_ban (0 or 1)  5 sender whose messages the user has to accept, or ''  6 whether they have to if the
--   conversation is in the list (0 or 1); with a rate, 7 interval  8 tolerance (see lib/pace.lua)
-- Returns {0, whether it was in the list (0 or 1), the field ''}, or {'banned', the ban}, {'noUser'}, {'notAllowed'},
--   {'rateLimited', ms to wait}, {'limitExceeded'}.
-- include: clock
-- include: user
-- include: pace
local room, limit, birth, check_ban = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1'
local sender, is_strict, interval, tolerance = ARGV[5], ARGV[6] == '1', tonumber(ARGV[7]), tonumber(ARGV[8])
local pace_key = KEYS[USER_KEYS + 1]

local ban = check_ban and redis.call('GET', ban_key)
if ban then return {'banned', ban} end
local f = redis.call('HMGET', user_key, 'wl', 'ttl')
if not f[1] then return {'noUser'} end
local was_listed = redis.call('HEXISTS', own_key, room)
if sender ~= '' and (is_strict or was_listed == 0) and not accepts_messages_from(sender) then return {'notAllowed'} end
if was_listed == 0 then
  if interval then
    local wait, turn = ask_turn(pace_key, interval, tolerance)
    if wait then return {'rateLimited', wait} end
    take_turn(pace_key, turn)
  end
  if #find_own(true) >= limit then return {'limitExceeded'} end
  redis.call('HSET', own_key, room, now_ms())
end
redis.call('HSETNX', own_key, '', birth)
settle_expiry(f[2], f[1] == '1')
return {0, was_listed, redis.call('HGET', own_key, '')}
