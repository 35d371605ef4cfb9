-- Add a socket to a user, creating the user if needed, and notify the user's other sockets.
-- KEYS: of lib/user.lua, then, with a rate, 8 pace_key (string)
-- ARGV: 1 socket  2 instance  3 whether a new user is ephemeral (0 or 1)
--   4 limit: the number of sockets that the user may have, 0 for any  5 ttl: see lib/user.lua (ms, or '')
--   with a rate: 6 interval  7 tolerance (see lib/pace.lua)
-- Returns {0, nconnected}, or {'banned', the ban}, {'limitExceeded'}, {'rateLimited', ms to wait}.
-- include: bus
-- include: clock
-- include: user
-- include: pace
local socket, instance, ephemeral, limit, ttl = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4]), ARGV[5]
local interval, tolerance, pace_key = tonumber(ARGV[6]), tonumber(ARGV[7]), KEYS[USER_KEYS + 1]

local ban = redis.call('GET', ban_key)
if ban then return {'banned', ban} end
if limit > 0 and redis.call('HLEN', sockets_key) >= limit and redis.call('HEXISTS', sockets_key, socket) == 0 then
  return {'limitExceeded'}
end
local wait, turn
if interval and redis.call('HEXISTS', sockets_key, socket) == 0 then
  wait, turn = ask_turn(pace_key, interval, tolerance)
  if wait then return {'rateLimited', wait} end
end

if redis.call('HSETNX', user_key, 'wl', '0') == 1 then
  -- If Redis evicted the key of a former user of this name, that user's lists must not pass to this one.
  redis.call('UNLINK', blacklist_key, whitelist_key, own_key)
  if ephemeral then redis.call('HSET', user_key, 'ephemeral', '1') end
else
  local dropped
  if ephemeral then
    dropped = redis.call('HDEL', user_key, 'ttl')
  else
    dropped = redis.call('HDEL', user_key, 'ttl', 'ephemeral')
  end
  if dropped > 0 then
    redis.call('PERSIST', user_key)
    redis.call('PERSIST', own_key)
  end
end
if ttl ~= '' then redis.call('HSET', user_key, 'ttl', ttl) end
if turn then take_turn(pace_key, turn) end
local is_new = redis.call('HSETNX', sockets_key, socket, instance)
local count = redis.call('HLEN', sockets_key)
if is_new == 1 and count > 1 then
  notify(user_key, sign(user_key, cmsgpack.pack({2, 'socketConnectEcho', {socket}}, {socket, count})))
end
return {0, count}
