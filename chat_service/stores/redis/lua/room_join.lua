-- Join a socket to a room if the rules allow it.
-- ARGV: 1 inner key  2 outer key  3 user  4 socket  5 instance  6 token  7 now (ms)
--   8 announce (0 or 1)  9 packed arguments of roomUserJoined
-- Returns {0, njoined, changed, epoch, seq, last id}, or {'noRoom'}, {'notAllowed'}.
-- include: bus
-- include: room
local room = load_room()
if not room then return {'noRoom'} end
local user, socket = ARGV[3], ARGV[4]
if not has_access(room, user) then return {'notAllowed'} end
local member = load_member(user)
if not member then
  member = {0}
  redis.call('HSET', KEYS[6], user, ARGV[7])
end
local at = find_socket(member, socket)
local changed = at and 0 or 1
at = at or #member + 1
member[at], member[at + 1], member[at + 2] = socket, ARGV[5], ARGV[6]
local result = {0, count_sockets(member), changed, room.epoch, room.seq, room.last}
if changed == 1 and ARGV[8] == '1' and member[1] == 0 then
  member[1] = 1
  if room.userlist_updates then
    publish_room_event(KEYS[1], ARGV[1], ARGV[2], room, 'roomUserJoined', ARGV[9])
    redis.call('HSET', KEYS[1], 'seq', room.seq)
  end
end
redis.call('HSET', KEYS[5], user, cmsgpack.pack(member))
return result
