-- Change a setting of a room; remove who loses access.
-- ARGV: 1 inner key  2 outer key  3 actor or ''  4 bypass (0 or 1)  5 now (ms)  6 what, then its arguments:
--   'mode' 0 or 1, packed arguments of roomModeChanged; 'owner' name or ''; 'history' size;
--   'updates' userlist, access lists (0, 1 or '' for as it is); 'remove' users
-- Returns {0, removed users}, or {'noRoom'}, {'notAllowed'}.
-- include: bus
-- include: room
-- include: remove
local room = load_room()
if not room then return {'noRoom'} end
if ARGV[4] ~= '1' and not is_admin(room, ARGV[3]) then return {'notAllowed'} end
local what, before, out = ARGV[6], room.seq, {}
if what == 'mode' then
  redis.call('HSET', KEYS[1], 'wl', ARGV[7])
  room.whitelist_only = ARGV[7] == '1'
  if room.lists_updates then publish_room_event(KEYS[1], ARGV[1], ARGV[2], room, 'roomModeChanged', ARGV[8]) end
  out = members_without_access(room)
elseif what == 'owner' then
  local former = room.owner
  redis.call('HSET', KEYS[1], 'owner', ARGV[7])
  room.owner = ARGV[7]
  if former ~= '' and not has_access(room, former) then out = {former} end
elseif what == 'history' then
  redis.call('HSET', KEYS[1], 'hmax', ARGV[7])
  if ARGV[7] == '0' then
    redis.call('UNLINK', KEYS[7])
  else
    redis.call('LTRIM', KEYS[7], 0, tonumber(ARGV[7]) - 1)
  end
elseif what == 'updates' then
  if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 'uu', ARGV[7]) end
  if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'au', ARGV[8]) end
elseif what == 'remove' then
  for at = 7, #ARGV do out[#out + 1] = ARGV[at] end
end
local gone = remove_users(room, ARGV[1], ARGV[2], out, ARGV[5])
if room.seq ~= before then redis.call('HSET', KEYS[1], 'seq', room.seq) end
return {0, gone}
