-- Create a user with the given lists.
-- If Redis evicted the key of a former user of this name, that user's lists go. Sockets stay: they are connected.
-- ARGV: 1 whitelist_only (0 or 1)  2 ttl: see lib/user.lua (ms, or '')
--   3 blacklisted (count), then the blacklisted names, then the whitelisted names
-- Returns {0}, or {'userExists'}.
-- include: clock
-- include: user
local whitelist_only, ttl, blacklisted = ARGV[1], ARGV[2], tonumber(ARGV[3])
local first_blacklisted, first_whitelisted = 4, 4 + blacklisted

if user_exists() then return {'userExists'} end
redis.call('HSET', user_key, 'wl', whitelist_only)
redis.call('UNLINK', blacklist_key, whitelist_key, own_key)
for at = first_blacklisted, first_whitelisted - 1 do redis.call('SADD', blacklist_key, ARGV[at]) end
for at = first_whitelisted, #ARGV do redis.call('SADD', whitelist_key, ARGV[at]) end
if ttl ~= '' then
  redis.call('HSET', user_key, 'ttl', ttl)
  settle_expiry(ttl, whitelist_only == '1')
end
return {0}
