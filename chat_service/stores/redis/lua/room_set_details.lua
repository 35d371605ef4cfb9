-- Set the details of a joined socket.
-- ARGV: 1 user  2 socket  3 details (JSON), or '' for none
--   4 body (packed arguments of roomMemberUpdated)
-- Returns {0}, or {'noRoom'}, {'notJoined'}.
-- include: bus
-- include: room
-- include: details
-- include: room_event
local user, socket, details, body = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local room = load_room()
if not room then return {'noRoom'} end
local member = load_member(user)
local at = member and find_socket(member, socket)
if not at then return {'notJoined'} end
local entry = valid_details(unpack_details(redis.call('HGET', details_key, user)), member)
put_details(room, entry, member[at + 2], details)
store_details(room, user, entry)
if member[1] == 1 and room.userlist_updates then
  publish_room_event(room, 'roomMemberUpdated', body)
  redis.call('HSET', room_key, 'seq', room.seq)
end
return {0}
