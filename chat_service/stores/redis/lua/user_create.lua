-- Create a user with the given lists.
-- If Redis evicted the key of a former user of this name, that user's lists go. Sockets stay: they are connected.
-- ARGV: 1 whitelist_only (0 or 1)  2 blacklisted (count), then the blacklisted names, then the whitelisted names
-- Returns {0}, or {'userExists'}.
-- include: user
local whitelist_only, blacklisted = ARGV[1], tonumber(ARGV[2])
local first_blacklisted, first_whitelisted = 3, 3 + blacklisted

if user_exists() then return {'userExists'} end
redis.call('HSET', user_key, 'wl', whitelist_only)
redis.call('UNLINK', blacklist_key, whitelist_key)
for at = first_blacklisted, first_whitelisted - 1 do redis.call('SADD', blacklist_key, ARGV[at]) end
for at = first_whitelisted, #ARGV do redis.call('SADD', whitelist_key, ARGV[at]) end
return {0}
