-- Answer a question of the server about a user and a room.
-- ARGV: 1 what  2 name (of the user), then the arguments of what:
--   'access'; 'among': the names are all that follows; 'list' index in KEYS of the list, or 0 for the members; 'joined' socket: whether it is joined
--   already, then for a join with a cursor the arguments of lib/join_history.lua
-- Returns {0, 0 or 1}, for 'among' {0, a list of them}, or {'noRoom'}; for 'joined' {0, njoined (0 if not joined), epoch, seq, last id} with what
--   lib/join_history.lua appends, or {'notAllowed'}.
-- include: room
-- include: clock
-- include: history
-- include: fold
-- include: join_history
local what, name = ARGV[1], ARGV[2]

local room = load_room()
if not room then return {'noRoom'} end
if what == 'access' then
  return {0, has_access(room, name) and 1 or 0}
elseif what == 'among' then
  local found = {}
  for at = 2, #ARGV do found[at - 1] = redis.call('HEXISTS', members_key, ARGV[at]) end
  return {0, found}
elseif what == 'joined' then
  local socket = ARGV[3]
  if not has_access(room, name) then return {'notAllowed'} end
  local member = load_member(name)
  local is_joined = member and find_socket(member, socket)
  local njoined = is_joined and count_sockets(member) or 0
  return append_history({0, njoined, room.epoch, room.seq, room.last}, room, 4, name)
elseif what == 'list' then
  local list = ARGV[3]
  if list == '0' then return {0, redis.call('HEXISTS', members_key, name)} end
  return {0, redis.call('SISMEMBER', KEYS[tonumber(list)], name)}
end
