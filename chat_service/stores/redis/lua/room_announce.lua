-- Announce a joined user to the room, unless that was done before.
-- ARGV: 1 user  2 socket  3 body (packed arguments of roomUserJoined)
-- Returns {0, njoined}; njoined is 0 if the socket is not joined.
-- include: bus
-- include: room
-- include: room_event
local user, socket, body = ARGV[1], ARGV[2], ARGV[3]

local room = load_room()
local member = room and load_member(user)
if not member or not find_socket(member, socket) then return {0, 0} end
if member[1] == 0 then
  member[1] = 1
  redis.call('HSET', members_key, user, cmsgpack.pack(member))
  if room.userlist_updates then
    publish_room_event(room, 'roomUserJoined', body)
    redis.call('HSET', room_key, 'seq', room.seq)
  end
end
return {0, count_sockets(member)}
