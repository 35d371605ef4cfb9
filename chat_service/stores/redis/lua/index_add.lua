-- Record in the user's index that a socket is about to join a room.
-- ARGV: 1 socket  2 room  3 token (of the join)  4 instance (the caller's)
--   5 own_limit: the number of rooms that are no conversations in the user's list, 0 to leave the list as it is
-- Returns {0, the user's sockets, how many of them are on other instances, both as in count_sockets}, or {'banned', the ban}; {'noRoom'} for a
--   conversation that is not in the list.
-- include: clock
-- include: user
local socket, room, token, instance = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local own_limit = tonumber(ARGV[5])

local ban = redis.call('GET', ban_key)
if ban then return {'banned', ban} end
if is_conversation(room) then
  if redis.call('HEXISTS', own_key, room) == 0 then return {'noRoom'} end
elseif own_limit > 0 and redis.call('HEXISTS', own_key, room) == 0 and #find_own(false) < own_limit then
  redis.call('HSET', own_key, room, now_ms())
end
if redis.call('HEXISTS', sockets_key, socket) == 1 then
  redis.call('HSET', rooms_key, socket .. ':' .. room, token)
end
local count, elsewhere = count_sockets(instance)
return {0, count, elsewhere}
