-- Remove a socket from a room.
-- ARGV: 1 inner key  2 outer key  3 user  4 socket  5 now (ms)  6 packed arguments of roomUserLeft
-- Returns {0, njoined, changed, room exists}.
-- flags: allow-oom
-- include: bus
-- include: room
local room = load_room()
if not room then return {0, 0, 0, 0} end
local user, socket = ARGV[3], ARGV[4]
local member = load_member(user)
if not member then return {0, 0, 0, 1} end
local at = find_socket(member, socket)
if not at then return {0, count_sockets(member), 0, 1} end
for _ = 1, 3 do table.remove(member, at) end
if #member > 1 then
  redis.call('HSET', KEYS[5], user, cmsgpack.pack(member))
else
  redis.call('HDEL', KEYS[5], user)
  redis.call('HSET', KEYS[6], user, ARGV[5])
  if member[1] == 1 and room.userlist_updates then
    publish_room_event(KEYS[1], ARGV[1], ARGV[2], room, 'roomUserLeft', ARGV[6], {socket})
    redis.call('HSET', KEYS[1], 'seq', room.seq)
  end
end
return {0, count_sockets(member), 1, 1}
