-- Change the lists or the mode of a user.
-- ARGV: 1 what, then its arguments: 'mode' 0 or 1; 'add' number of the list's key, limit, names;
--   'remove' number of the list's key, names
-- Returns {0}, or {'noUser'}, {'listLimitExceeded'}.
-- include: user
if not user_exists() then return {'noUser'} end
local what = ARGV[1]
if what == 'mode' then
  redis.call('HSET', KEYS[1], 'wl', ARGV[2])
  return {0}
end
local list = KEYS[tonumber(ARGV[2])]
if what == 'remove' then
  for at = 3, #ARGV do redis.call('SREM', list, ARGV[at]) end
  return {0}
end
local seen, new = {}, 0
for at = 4, #ARGV do
  if not seen[ARGV[at]] then
    seen[ARGV[at]] = true
    if redis.call('SISMEMBER', list, ARGV[at]) == 0 then new = new + 1 end
  end
end
if new > 0 and redis.call('SCARD', list) + new > tonumber(ARGV[3]) then return {'listLimitExceeded'} end
for at = 4, #ARGV do redis.call('SADD', list, ARGV[at]) end
return {0}
