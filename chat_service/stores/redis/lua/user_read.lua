-- Read part of a user.
-- ARGV: 1 what, then its arguments: 'list' index in KEYS of the list; 'in' index in KEYS of the list, name;
--   'mode'; 'access' sender; 'socket' its id: 1 if it is there, else 0; 'sockets' the most of them and their
--   rooms together, or 0; 'own': the rooms in the list with their times, and the time now
-- Returns {0, ...}, or {'noUser'}.
-- include: clock
-- include: user
local what = ARGV[1]

if not user_exists() then return {'noUser'} end
if what == 'list' then
  local list_key = KEYS[tonumber(ARGV[2])]
  return {0, redis.call('SMEMBERS', list_key)}
elseif what == 'in' then
  local list_key, name = KEYS[tonumber(ARGV[2])], ARGV[3]
  return {0, redis.call('SISMEMBER', list_key, name)}
elseif what == 'mode' then
  return {0, tonumber(redis.call('HGET', user_key, 'wl'))}
elseif what == 'access' then
  local sender = ARGV[2]
  return {0, accepts_messages_from(sender) and 1 or 0}
elseif what == 'socket' then
  local socket_id = ARGV[2]
  return {0, redis.call('HEXISTS', sockets_key, socket_id)}
elseif what == 'sockets' then
  local limit = tonumber(ARGV[2])
  if limit > 0 and redis.call('HLEN', sockets_key) + redis.call('HLEN', rooms_key) > limit then
    return {'limitExceeded'}
  end
  return {0, redis.call('HGETALL', sockets_key), redis.call('HKEYS', rooms_key)}
elseif what == 'own' then
  return {0, redis.call('HGETALL', own_key), now_ms()}
end
