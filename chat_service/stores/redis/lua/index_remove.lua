-- Note in a user's index that sockets have left a room, and tell the user.
-- ARGV: 1 room  2 signed envelope, or ''  then for each socket: its id, the token of the join or '' for any
-- Returns {0}.
-- include: user
for at = 3, #ARGV, 2 do
  local field = ARGV[at] .. ':' .. ARGV[1]
  if ARGV[at + 1] == '' or redis.call('HGET', KEYS[5], field) == ARGV[at + 1] then
    redis.call('HDEL', KEYS[5], field)
  end
end
if ARGV[2] ~= '' and redis.call('HLEN', KEYS[4]) > 0 then redis.call('SPUBLISH', KEYS[1], ARGV[2]) end
return {0}
