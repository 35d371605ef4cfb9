-- What the list of a user shows of a room.
-- ARGV: 1 user
-- Returns {0, last id, the id of the user's mark (0 without one), the end of the last message or ''}, or {'noRoom'}, {'notAllowed'}.
-- include: room
-- include: clock
-- include: history
local user = ARGV[1]

-- The server puts the timestamp and the author of a message at its end.
local END = 4096

local room = load_room()
if not room then return {'noRoom'} end
if not has_access(room, user) then return {'notAllowed'} end
local marks = redis.call('HMGET', marks_key, '', user)
local birth = redis.call('HGET', room_key, 'birth') or room.epoch
local mark = marks[1] == birth and tonumber(marks[2] or 0) or 0
local newest = count_stored(room) > 0 and redis.call('LINDEX', history_key, 0)
return {0, room.last, mark, newest and string.sub(newest, -END) or ''}
