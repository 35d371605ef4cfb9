-- Note in a user's index that a socket is about to join a room.
-- ARGV: 1 socket  2 room  3 token of the join  4 instance
-- Returns {0, number of the user's sockets, of those how many are on other instances}.
-- include: user
if redis.call('HEXISTS', KEYS[4], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[5], ARGV[1] .. ':' .. ARGV[2], ARGV[3])
end
local count, elsewhere = 0, 0
for _, instance in ipairs(redis.call('HVALS', KEYS[4])) do
  count = count + 1
  if instance ~= ARGV[4] then elsewhere = elsewhere + 1 end
end
return {0, count, elsewhere}
