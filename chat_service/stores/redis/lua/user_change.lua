-- Change a user's lists or whitelist mode.
-- ARGV: 1 check_ban (0 or 1)  2 what, then its arguments: 'mode' whitelist_only (0 or 1);
--   'add' index in KEYS of the list, limit, names; 'remove' index in KEYS of the list, names
-- Returns {0}, or {'banned', the ban}, {'noUser'}, {'listLimitExceeded'}.
-- include: clock
-- include: user
local check_ban, what = ARGV[1] == '1', ARGV[2]

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
  for at = first_name, #ARGV do redis.call('SREM', list_key, ARGV[at]) end
elseif what == 'add' then
  local list_key, limit, first_name = KEYS[tonumber(ARGV[3])], tonumber(ARGV[4]), 5
  local seen, new = {}, 0
  for at = first_name, #ARGV do
    local name = ARGV[at]
    if not seen[name] then
      seen[name] = true
      if redis.call('SISMEMBER', list_key, name) == 0 then new = new + 1 end
    end
  end
  if new > 0 and redis.call('SCARD', list_key) + new > limit then return {'listLimitExceeded'} end
  for at = first_name, #ARGV do redis.call('SADD', list_key, ARGV[at]) end
end
settle_expiry(f[2], f[1] == '1')
return {0}
