-- Change a user's lists or whitelist mode.
-- ARGV: 1 check_ban (0 or 1)  2 what, then its arguments: 'mode' whitelist_only (0 or 1);
--   'add' index in KEYS of the list, limit, names; 'remove' index in KEYS of the list, names
-- Returns {0}, or {'banned', the ban}, {'noUser'}, {'listLimitExceeded'}.
-- include: clock
-- include: user
local check_ban, what = ARGV[1] == '1', ARGV[2]
-- Lua's stack holds 8,000 values.
local NAMES_AT_ONCE = 1000

local ban = check_ban and redis.call('GET', ban_key)
if ban then return {'banned', ban} end
local f = redis.call('HMGET', user_key, 'wl', 'ttl')
if not f[1] then return {'noUser'} end
if what == 'mode' then
  local whitelist_only = ARGV[3]
  redis.call('HSET', user_key, 'wl', whitelist_only)
  f[1] = whitelist_only
elseif what == 'remove' then
  local list_key, first_name = KEYS[tonumber(ARGV[3])], 4
  for at = first_name, #ARGV, NAMES_AT_ONCE do
    redis.call('SREM', list_key, unpack(ARGV, at, math.min(at + NAMES_AT_ONCE - 1, #ARGV)))
  end
elseif what == 'add' then
  local list_key, limit, first_name = KEYS[tonumber(ARGV[3])], tonumber(ARGV[4]), 5
  -- Each name is given once.
  local count, new = #ARGV - first_name + 1, 0
  if redis.call('SCARD', list_key) + count > limit then
    for at = first_name, #ARGV, NAMES_AT_ONCE do
      local last = math.min(at + NAMES_AT_ONCE - 1, #ARGV)
      for _, is_there in ipairs(redis.call('SMISMEMBER', list_key, unpack(ARGV, at, last))) do
        if is_there == 0 then new = new + 1 end
      end
    end
    if new > 0 and redis.call('SCARD', list_key) + new > limit then return {'listLimitExceeded'} end
  end
  for at = first_name, #ARGV, NAMES_AT_ONCE do
    redis.call('SADD', list_key, unpack(ARGV, at, math.min(at + NAMES_AT_ONCE - 1, #ARGV)))
  end
end
settle_expiry(f[2], f[1] == '1')
return {0}
