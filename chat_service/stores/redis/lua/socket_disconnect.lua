-- Remove a socket that has left its rooms from a user, and tell the other sockets.
-- ARGV: 1 inner key  2 outer key  3 socket, then for each room left: its name, the sockets still joined
-- Returns {0, nconnected}.
-- include: bus
-- include: user
local socket = ARGV[3]
local is_known = redis.call('HDEL', KEYS[4], socket)
local count = redis.call('HLEN', KEYS[4])
if is_known == 0 then return {0, count} end
local prefix = socket .. ':'
for _, field in ipairs(redis.call('HKEYS', KEYS[5])) do
  if field:sub(1, #prefix) == prefix then redis.call('HDEL', KEYS[5], field) end
end
if count > 0 then
  for at = 4, #ARGV, 2 do
    publish(KEYS[1], ARGV[1], ARGV[2], {2, 'roomLeftEcho', {socket}},
      cmsgpack.pack({ARGV[at], socket, tonumber(ARGV[at + 1])}))
  end
  publish(KEYS[1], ARGV[1], ARGV[2], {2, 'socketDisconnectEcho', {socket}}, cmsgpack.pack({socket, count}))
end
return {0, count}
