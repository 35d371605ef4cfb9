-- Remove a socket, which has left its rooms, from its user and notify the user's other sockets.
-- ARGV: 1 socket, then for each room left: its name, the user's sockets still joined
-- Returns {0, nconnected}.
-- include: bus
-- include: clock
-- include: user
local socket = ARGV[1]
local first_room = 2

local is_known = redis.call('HDEL', sockets_key, socket)
local count = redis.call('HLEN', sockets_key)
if is_known == 0 then return {0, count} end
local prefix = socket .. ':'
for _, field in ipairs(redis.call('HKEYS', rooms_key)) do
  if field:sub(1, #prefix) == prefix then redis.call('HDEL', rooms_key, field) end
end
if count > 0 then
  for at = first_room, #ARGV, 2 do
    local room, njoined = ARGV[at], tonumber(ARGV[at + 1])
    publish(user_key, {2, 'roomLeftEcho', {socket}}, cmsgpack.pack({room, socket, njoined}))
  end
  publish(user_key, {2, 'socketDisconnectEcho', {socket}}, cmsgpack.pack({socket, count}))
else
  local f = redis.call('HMGET', user_key, 'ephemeral', 'ttl', 'wl')
  if f[1] then
    redis.call('UNLINK', user_key, blacklist_key, whitelist_key, rooms_key, own_key)
  else
    settle_expiry(f[2], f[3] == '1')
  end
end
return {0, count}
