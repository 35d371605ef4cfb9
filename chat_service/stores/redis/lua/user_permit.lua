-- Give a user who is not banned a permit to change something in other slots.
-- KEYS: of lib/user.lua, then 8 permits_key (sorted set)
-- ARGV: 1 permit  2 lifetime (ms)  3 instance, or '' if it does not matter where the user's sockets are, then the places
-- Returns {0, 1 if all the user's sockets are on that instance, else 0}, or {'banned', the ban}.
-- include: clock
-- include: user
-- include: permits
local permit, lifetime, instance, first_place = ARGV[1], ARGV[2], ARGV[3], 4
local permits_key = KEYS[USER_KEYS + 1]

local ban = redis.call('GET', ban_key)
if ban then return {'banned', ban} end
give_permit(permits_key, permit, lifetime, first_place)
if instance == '' then return {0, 0} end
for _, holder in ipairs(redis.call('HVALS', sockets_key)) do
  if holder ~= instance then return {0, 0} end
end
return {0, 1}
