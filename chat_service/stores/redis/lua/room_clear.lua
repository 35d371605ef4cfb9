-- Do one slice of the work that remains after many users were removed from a room. The room may be gone by now.
-- ARGV: 1 id (see lib/leaving.lua)  2 count  3 size: bytes of the members of a slice
-- Returns {0, users as in lib/remove.lua, those who are not to be notified, how many users are left}.
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
-- include: remove
local id, count, size = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local key = leaving_key(id)
local room = load_room()
local its_id, time
if room then its_id, time = parse_leaving(room) end
local is_current = its_id == id
local found = redis.call('HRANDFIELD', key, count, 'WITHVALUES')
local taken, users, members, quiet, silent = {}, {}, {}, {}, {}
for at = 1, #found, 2 do
  local user, packed = found[at], found[at + 1]
  size = size - #packed
  if size < 0 and #taken > 0 then break end
  taken[#taken + 1] = user
  if cmsgpack.unpack(packed)[1] == 2 then
    quiet[#quiet + 1], silent[#silent + 1] = user, packed
  else
    users[#users + 1], members[#members + 1] = user, packed
  end
end
delete_fields(key, taken)
local gone, removed, announced = describe_members(room or {}, users, members)
if is_current then
  update_seen_of(users, time)
  if room.has_details then delete_fields(details_key, users) end
  if #users > 0 then
    publish_room_event(room, '', NO_BODY, nil, removed, announced)
    redis.call('HSET', room_key, 'seq', room.seq)
  end
end
local left = redis.call('HLEN', key)
if is_current and left == 0 then redis.call('HDEL', room_key, 'leaving') end
return {0, gone, describe_members({}, quiet, silent), left}
