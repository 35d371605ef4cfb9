-- Create a user with the given lists.
-- If Redis evicted the key of a former user of this name, that user's lists go. Sockets stay: they are connected.
-- ARGV: 1 whitelist_only (0 or 1)  2 ttl: see lib/user.lua (ms, or '')
--   3 blacklisted (count), then the blacklisted names, then the whitelisted names
-- Returns {0}, or {'userExists'}.
-- include: clock
-- include: user
local whitelist_only, ttl, blacklisted = ARGV[1], ARGV[2], tonumber(ARGV[3])
local first_blacklisted, first_whitelisted = 4, 4 + blacklisted
-- Lua's stack holds 8,000 values.
local NAMES_AT_ONCE = 1000

if user_exists() then return {'userExists'} end
redis.call('HSET', user_key, 'wl', whitelist_only)
redis.call('UNLINK', blacklist_key, whitelist_key, own_key)
local function add_names(list_key, first, last)
  for at = first, last, NAMES_AT_ONCE do
    redis.call('SADD', list_key, unpack(ARGV, at, math.min(at + NAMES_AT_ONCE - 1, last)))
  end
end

add_names(blacklist_key, first_blacklisted, first_whitelisted - 1)
add_names(whitelist_key, first_whitelisted, #ARGV)
if ttl ~= '' then
  redis.call('HSET', user_key, 'ttl', ttl)
  settle_expiry(ttl, whitelist_only == '1')
end
return {0}
