-- Read something of a user.
-- ARGV: 1 what, then its arguments: 'list' number of the list's key; 'in' number of the list's key, name;
--   'mode'; 'access' sender; 'sockets'
-- Returns {0, ...}, or {'noUser'}.
-- include: user
if not user_exists() then return {'noUser'} end
local what = ARGV[1]
if what == 'list' then
  return {0, redis.call('SMEMBERS', KEYS[tonumber(ARGV[2])])}
elseif what == 'in' then
  return {0, redis.call('SISMEMBER', KEYS[tonumber(ARGV[2])], ARGV[3])}
elseif what == 'mode' then
  return {0, tonumber(redis.call('HGET', KEYS[1], 'wl'))}
elseif what == 'access' then
  return {0, lets_write(ARGV[2]) and 1 or 0}
elseif what == 'sockets' then
  return {0, redis.call('HGETALL', KEYS[4]), redis.call('HKEYS', KEYS[5])}
end
