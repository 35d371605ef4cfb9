-- Answer a question of the server about a room.
-- ARGV: 1 'access' or 'list', 2 name  3 number of the list's key, 0 for members
-- Returns {0, 0 or 1}, or {'noRoom'}.
-- include: room
local room = load_room()
if not room then return {'noRoom'} end
if ARGV[1] == 'access' then return {0, has_access(room, ARGV[2]) and 1 or 0} end
if ARGV[3] == '0' then return {0, redis.call('HEXISTS', KEYS[5], ARGV[2])} end
return {0, redis.call('SISMEMBER', KEYS[tonumber(ARGV[3])], ARGV[2])}
