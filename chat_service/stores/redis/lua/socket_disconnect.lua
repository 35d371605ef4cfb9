-- Remove a socket, which has left its rooms, from its user and notify the user's other sockets.
-- ARGV: 1 socket  2 is_last: 0 if another script follows, with further rooms; until then the user keeps the socket,
--   then for each room left: its name, the user's sockets still joined
-- Returns {0, nconnected}.
-- include: bus
-- include: clock
-- include: user
local socket, is_last = ARGV[1], ARGV[2] == '1'
local first_room = 3
-- What a join that failed may have left in the index is looked for among so many entries. Larger ones keep it until the
-- user's last socket has left; it names a socket that no longer exists, so it means nothing.
local FEW = 200

local is_known = redis.call(is_last and 'HDEL' or 'HEXISTS', sockets_key, socket)
local count = redis.call('HLEN', sockets_key)
if is_known == 0 then return {0, count} end
if not is_last then count = count - 1 end
local prefix, fields = socket .. ':', {}
if is_last and count == 0 then
  redis.call('UNLINK', rooms_key)
else
  for at = first_room, #ARGV, 2 do fields[#fields + 1] = prefix .. ARGV[at] end
  if #fields > 0 then redis.call('HDEL', rooms_key, unpack(fields)) end
  if is_last and redis.call('HLEN', rooms_key) <= FEW then
    for _, field in ipairs(redis.call('HKEYS', rooms_key)) do
      if field:sub(1, #prefix) == prefix then redis.call('HDEL', rooms_key, field) end
    end
  end
end
if count > 0 then
  for at = first_room, #ARGV, 2 do
    local room, njoined = ARGV[at], tonumber(ARGV[at + 1])
    notify(user_key, sign(user_key, cmsgpack.pack({2, 'roomLeftEcho', {socket}}, {room, socket, njoined})))
  end
  if is_last then
    notify(user_key, sign(user_key, cmsgpack.pack({2, 'socketDisconnectEcho', {socket}}, {socket, count})))
  end
elseif is_last then
  local f = redis.call('HMGET', user_key, 'ephemeral', 'ttl', 'wl')
  if f[1] then
    redis.call('UNLINK', user_key, blacklist_key, whitelist_key, rooms_key, own_key)
  else
    settle_expiry(f[2], f[3] == '1')
  end
end
return {0, count}
