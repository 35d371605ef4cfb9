-- Answer a question of the server about a room.
-- ARGV: 1 what, then its arguments: 'access' name; 'list' name, number of the list's key, 0 for members;
--   'joined' user, socket: whether a join would change nothing
-- Returns {0, 0 or 1}, or {'noRoom'}; for 'joined' {0, njoined or 0 when it is not, epoch, seq, last id}, or
--   {'notAllowed'}.
-- include: room
local room = load_room()
if not room then return {'noRoom'} end
local what, name = ARGV[1], ARGV[2]
if what == 'access' then
  return {0, has_access(room, name) and 1 or 0}
elseif what == 'joined' then
  if not has_access(room, name) then return {'notAllowed'} end
  local member = load_member(name)
  local is_joined = member and find_socket(member, ARGV[3])
  return {0, is_joined and count_sockets(member) or 0, room.epoch, room.seq, room.last}
end
if ARGV[3] == '0' then return {0, redis.call('HEXISTS', KEYS[5], name)} end
return {0, redis.call('SISMEMBER', KEYS[tonumber(ARGV[3])], name)}
