-- Create a user with these lists alone.
-- Those of a former user whose key Redis has evicted go. Sockets stay, since they are connected.
-- ARGV: 1 whitelist only (0 or 1)  2 number of blacklisted names, then those, then the whitelisted ones
-- Returns {0}, or {'userExists'}.
-- include: user
if user_exists() then return {'userExists'} end
redis.call('HSET', KEYS[1], 'wl', ARGV[1])
redis.call('UNLINK', KEYS[2], KEYS[3])
local count = tonumber(ARGV[2])
for at = 3, #ARGV do redis.call('SADD', at <= count + 2 and KEYS[2] or KEYS[3], ARGV[at]) end
return {0}
