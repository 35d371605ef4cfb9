-- Add a conversation to the list of one of its users.
-- KEYS: of lib/user.lua, then, with a rate, pace_key (string), then, with a permit, permits_key (sorted set: see
--   lib/permits.lua), or else, if another user adds it, the ban_key of that one (string: see lib/actor_ban.lua)
-- ARGV: 1 room  2 limit: the number of conversations in the list  3 birth: a new text for the field '' of the list
--   4 check_ban (0 or 1)  5 sender whose messages the user has to accept, or ''  6 whether they have to if the
--   conversation is in the list (0 or 1)  7 interval or ''  8 tolerance (see lib/pace.lua)
--   with a permit, 9 permit  10 lifetime (ms), then its places
-- Returns {0, whether it was in the list (0 or 1), the field ''}, or {'banned', the ban}, {'noUser'}, {'notAllowed'},
--   {'rateLimited', ms to wait}, {'limitExceeded'}.
-- include: clock
-- include: user
-- include: pace
-- include: permits
local room, limit, birth, check_ban = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1'
local sender, is_strict, interval, tolerance = ARGV[5], ARGV[6] == '1', tonumber(ARGV[7]), tonumber(ARGV[8])
local permit, lifetime, first_place = ARGV[9], ARGV[10], 11
local pace_key, next_key = KEYS[USER_KEYS + 1], KEYS[USER_KEYS + (interval and 2 or 1)]

local ban = check_ban and redis.call('GET', ban_key)
if not permit and not ban then ban = next_key and redis.call('GET', next_key) end
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
if permit then give_permit(next_key, permit, lifetime, first_place) end
return {0, was_listed, redis.call('HGET', own_key, '')}
