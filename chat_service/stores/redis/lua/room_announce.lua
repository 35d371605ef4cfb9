-- Tell the room of a user who has joined, once.
-- ARGV: 1 inner key  2 outer key  3 user  4 socket  5 packed arguments of roomUserJoined
-- Returns {0, njoined}; njoined is 0 when the socket is not joined.
-- include: bus
-- include: room
local room = load_room()
local member = room and load_member(ARGV[3])
if not member or not find_socket(member, ARGV[4]) then return {0, 0} end
if member[1] == 0 then
  member[1] = 1
  redis.call('HSET', KEYS[5], ARGV[3], cmsgpack.pack(member))
  if room.userlist_updates then
    publish_room_event(KEYS[1], ARGV[1], ARGV[2], room, 'roomUserJoined', ARGV[5])
    redis.call('HSET', KEYS[1], 'seq', room.seq)
  end
end
return {0, count_sockets(member)}
