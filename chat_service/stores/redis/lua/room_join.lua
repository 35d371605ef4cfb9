-- Join a socket to a room if its user has access.
-- ARGV: 1 user  2 socket  3 instance  4 token  5 now (ms)
--   6 announce (0 or 1)  7 body (packed arguments of roomUserJoined)
--   8 seen_limit: number of users whose presence the room remembers; 0 does not remember this one
--   9 details of the socket (JSON), or ''
--   10 to 17, for a join with a cursor: see lib/join_history.lua
-- Returns {0, njoined, changed, epoch, seq, last id}, with a cursor also what lib/join_history.lua appends;
--   or {'banned', the ban}, {'noRoom'}, {'notAllowed'}.
-- include: bus
-- include: room
-- include: details
-- include: actor_ban
-- include: room_event
-- include: leaving
-- include: clock
-- include: history_size
-- include: history_age
-- include: room_expiry
-- include: history
-- include: fold
-- include: join_history
local user, socket, instance, token, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local announce, body, seen_limit, details = ARGV[6] == '1', ARGV[7], tonumber(ARGV[8]), ARGV[9]

local ban = find_ban()
if ban then return {'banned', ban} end
local room = load_room()
if not room then return {'noRoom'} end
if not has_access(room, user) then return {'notAllowed'} end
stop_expiry(room)
local member = load_member(user)
local is_new = not member
if is_new then
  settle_leaving(room, user)
  member = {0}
  if seen_limit > 0 then
    redis.call('HSET', seen_key, user, now)
    forget_seen(seen_limit)
  end
end
local at = find_socket(member, socket)
local changed = at and 0 or 1
local before = at and member[at + 2]
at = at or #member + 1
member[at], member[at + 1], member[at + 2] = socket, instance, token
join_details(room, user, member, before, token, is_new and seen_limit == 0, now, details)
-- Taken before an announcement advances room.seq.
local result = append_history({0, count_sockets(member), changed, room.epoch, room.seq, room.last}, room, 10, user)
if changed == 1 and announce and member[1] == 0 then
  member[1] = 1
  if room.userlist_updates then
    publish_room_event(room, 'roomUserJoined', body)
    redis.call('HSET', room_key, 'seq', room.seq)
  end
end
redis.call('HSET', members_key, user, cmsgpack.pack(member))
return result
