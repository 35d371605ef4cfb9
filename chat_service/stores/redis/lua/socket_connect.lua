-- Add a socket to a user, creating the user if needed, and notify the user's other sockets.
-- ARGV: 1 inner_key  2 outer_key  3 socket  4 instance
-- Returns {0, nconnected}.
-- include: bus
-- include: user
local socket, instance = ARGV[3], ARGV[4]

if redis.call('HSETNX', user_key, 'wl', '0') == 1 then
  -- If Redis evicted the key of a former user of this name, that user's lists must not pass to this one.
  redis.call('UNLINK', blacklist_key, whitelist_key)
end
local is_new = redis.call('HSETNX', sockets_key, socket, instance)
local count = redis.call('HLEN', sockets_key)
if is_new == 1 and count > 1 then
  publish(user_key, {2, 'socketConnectEcho', {socket}}, cmsgpack.pack({socket, count}))
end
return {0, count}
