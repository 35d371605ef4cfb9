-- Record in the user's index that sockets have left a room, and notify the user.
-- ARGV: 1 room  2 envelope (signed), or '' to notify nobody
--   3 instance: the caller's, if it can deliver to its own sockets directly, else ''
--   4 unlist: whether the room leaves the user's list, too, unless it is a conversation (0 or 1)
--   then, for each socket, its id and the token of its join ('' matches any)
-- Returns {0, 1 if all the user's sockets are on the caller's instance, which then delivers the envelope, else 0}.
-- include: bus
-- include: clock
-- include: user
local room, envelope, instance = ARGV[1], ARGV[2], ARGV[3]
local unlist = ARGV[4] == '1'
local first_socket = 5

for at = first_socket, #ARGV, 2 do
  local socket, token = ARGV[at], ARGV[at + 1]
  local field = socket .. ':' .. room
  if token == '' or redis.call('HGET', rooms_key, field) == token then
    redis.call('HDEL', rooms_key, field)
  end
end
if unlist and not is_conversation(room) then redis.call('HDEL', own_key, room) end
if envelope == '' then return {0, 0} end
if instance ~= '' then
  local _, elsewhere = count_sockets(instance)
  if elsewhere == 0 then return {0, 1} end
end
notify(user_key, envelope)
return {0, 0}
