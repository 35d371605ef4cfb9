-- Create a room.
-- KEYS: 1 room (hash)  2 adminlist  3 blacklist  4 whitelist (sets); the others of lib/room.lua too
-- ARGV: 1 epoch  2 owner or ''  3 whitelist only  4 userlist updates  5 access lists updates
--   6 history size  7 number of admins  8 of blacklisted  9 of whitelisted names, then the names
-- Returns {0}, or {'roomExists'}.
if redis.call('EXISTS', KEYS[1]) == 1 then return {'roomExists'} end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'seq', 0, 'last', 0, 'owner', ARGV[2], 'wl', ARGV[3],
  'uu', ARGV[4], 'au', ARGV[5], 'hmax', ARGV[6])
local at = 10
for list = 1, 3 do
  for _ = 1, tonumber(ARGV[6 + list]) do
    redis.call('SADD', KEYS[1 + list], ARGV[at])
    at = at + 1
  end
end
return {0}
