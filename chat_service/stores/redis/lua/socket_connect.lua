-- Add a socket to a user, who is created when missing, and tell the other sockets.
-- ARGV: 1 inner key  2 outer key  3 socket  4 instance
-- Returns {0, nconnected}.
-- include: bus
-- include: user
if redis.call('HSETNX', KEYS[1], 'wl', '0') == 1 then
  -- What is left of a former user whose key Redis has evicted is nobody's.
  redis.call('UNLINK', KEYS[2], KEYS[3])
end
local is_new = redis.call('HSETNX', KEYS[4], ARGV[3], ARGV[4])
local count = redis.call('HLEN', KEYS[4])
if is_new == 1 and count > 1 then
  publish(KEYS[1], ARGV[1], ARGV[2], {2, 'socketConnectEcho', {ARGV[3]}}, cmsgpack.pack({ARGV[3], count}))
end
return {0, count}
