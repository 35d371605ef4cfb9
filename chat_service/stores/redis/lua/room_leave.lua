-- Remove a socket from a room.
-- ARGV: 1 user  2 socket  3 now (ms)  4 body (packed arguments of roomUserLeft)
-- Returns {0, njoined, changed, room exists}.
-- flags: allow-oom
-- include: bus
-- include: room
-- include: details
-- include: room_event
-- include: leaving
-- include: clock
-- include: history_size
-- include: history_age
-- include: room_expiry
local user, socket, now, body = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local room = load_room()
if not room then return {0, 0, 0, 0} end
local member = load_member(user)
if not member then
  settle_leaving(room, user)
  return {0, 0, 0, 1}
end
local at = find_socket(member, socket)
if not at then return {0, count_sockets(member), 0, 1} end
local token = member[at + 2]
for _ = 1, 3 do table.remove(member, at) end
leave_details(room, user, member, token)
if #member > 1 then
  redis.call('HSET', members_key, user, cmsgpack.pack(member))
else
  redis.call('HDEL', members_key, user)
  update_seen(user, now)
  if member[1] == 1 and room.userlist_updates then
    publish_room_event(room, 'roomUserLeft', body, {socket})
    redis.call('HSET', room_key, 'seq', room.seq)
  end
  expire_if_empty(room)
end
return {0, count_sockets(member), 1, 1}
