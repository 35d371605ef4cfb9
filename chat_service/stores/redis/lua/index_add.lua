-- Record in the user's index that a socket is about to join a room.
-- ARGV: 1 socket  2 room  3 token (of the join)  4 instance (the caller's)
-- Returns {0, the user's sockets, how many of them are on other instances}, or {'banned', the ban}.
-- include: clock
-- include: user
local socket, room, token, instance = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local ban = redis.call('GET', ban_key)
if ban then return {'banned', ban} end
if redis.call('HEXISTS', sockets_key, socket) == 1 then
  redis.call('HSET', rooms_key, socket .. ':' .. room, token)
end
local count, elsewhere = 0, 0
for _, holder in ipairs(redis.call('HVALS', sockets_key)) do
  count = count + 1
  if holder ~= instance then elsewhere = elsewhere + 1 end
end
return {0, count, elsewhere}
