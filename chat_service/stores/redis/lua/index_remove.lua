-- Note in a user's index that sockets have left a room, and tell the user.
-- ARGV: 1 room  2 signed envelope, or ''  3 the caller's instance when it can deliver to its sockets, or ''
--   then for each socket: its id, the token of the join or '' for any
-- Returns {0, 1 when the caller is to deliver the envelope, for all sockets of the user are there, else 0}.
-- include: user
local room, envelope = ARGV[1], ARGV[2]
for at = 4, #ARGV, 2 do
  local field = ARGV[at] .. ':' .. room
  if ARGV[at + 1] == '' or redis.call('HGET', KEYS[5], field) == ARGV[at + 1] then
    redis.call('HDEL', KEYS[5], field)
  end
end
if envelope == '' then return {0, 0} end
if ARGV[3] ~= '' then
  local elsewhere = false
  for _, instance in ipairs(redis.call('HVALS', KEYS[4])) do elsewhere = elsewhere or instance ~= ARGV[3] end
  if not elsewhere then return {0, 1} end
end
redis.call('SPUBLISH', KEYS[1], envelope)
return {0, 0}
