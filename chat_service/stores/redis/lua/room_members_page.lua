-- The state of a room and a page of its members, if the actor may read the room.
-- ARGV: 1 actor or ''  2 bypass (0 or 1)  3 limit  4 at  5 upto or ''  6 after or '': see lib/members_page.lua
-- Returns {0, owner, epoch, last id, number of members, users, their sockets (numbers), when they joined (ms or false),
--   their details (JSON or false), the next at or false, upto, after}; or {'noRoom'}, {'notJoined'}.
-- include: room
-- include: details
-- include: members_page
local actor, bypass, limit = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])
local begin, begin_upto, begin_after = ARGV[4], ARGV[5], ARGV[6]

local room = load_room()
if not room then return {'noRoom'} end
if not bypass and not may_read(room, actor) then return {'notJoined'} end
local names, packed, at, upto, after = {}, {}, false, '', ''
if limit > 0 then names, packed, at, upto, after = read_members(limit, begin, begin_upto, begin_after) end
local seen = read_fields(seen_key, names)
local entries = room.has_details and read_fields(details_key, names) or {}
local sockets, joined, details = {}, {}, {}
for number = 1, #names do
  local member = cmsgpack.unpack(packed[number])
  local entry = valid_details(unpack_details(entries[number]), member)
  sockets[number] = count_sockets(member)
  joined[number] = entry[2] ~= '' and entry[1] or tonumber(seen[number]) or false
  details[number] = latest_details(entry)
end
return {0, room.owner, room.epoch, room.last, redis.call('HLEN', members_key), names, sockets, joined, details,
  at, upto, after}
