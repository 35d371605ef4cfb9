-- Add names to an access list and remove names from it; remove who loses access.
-- ARGV: 1 inner key  2 outer key  3 actor or ''  4 bypass (0 or 1)  5 number of the list's key  6 now (ms)
--   7 limit  8 packed arguments of roomAccessListAdded, or ''  9 of roomAccessListRemoved, or ''
--   10 number of names to add, then those names, then the names to remove
-- Returns {0, removed users}, or {'noRoom'}, {'notAllowed'}, {'listLimitExceeded'}.
-- include: bus
-- include: room
-- include: remove
local room = load_room()
if not room then return {'noRoom'} end
local list, count = tonumber(ARGV[5]), tonumber(ARGV[10])
if ARGV[4] ~= '1' and not is_owner(room, ARGV[3]) then
  if list == 2 or not is_admin(room, ARGV[3]) then return {'notAllowed'} end
  for at = 11, #ARGV do
    if ARGV[at] == room.owner then return {'notAllowed'} end
  end
end
local seen, new = {}, 0
for at = 11, 10 + count do
  local name = ARGV[at]
  if not seen[name] then
    seen[name] = true
    if redis.call('SISMEMBER', KEYS[list], name) == 0 then new = new + 1 end
  end
end
if new > 0 and redis.call('SCARD', KEYS[list]) + new > tonumber(ARGV[7]) then return {'listLimitExceeded'} end
for at = 11, 10 + count do redis.call('SADD', KEYS[list], ARGV[at]) end
for at = 11 + count, #ARGV do redis.call('SREM', KEYS[list], ARGV[at]) end
local before = room.seq
if room.lists_updates then
  if ARGV[8] ~= '' then publish_room_event(KEYS[1], ARGV[1], ARGV[2], room, 'roomAccessListAdded', ARGV[8]) end
  if ARGV[9] ~= '' then publish_room_event(KEYS[1], ARGV[1], ARGV[2], room, 'roomAccessListRemoved', ARGV[9]) end
end
local out = {}
for at = 11, #ARGV do
  if redis.call('HEXISTS', KEYS[5], ARGV[at]) == 1 and not has_access(room, ARGV[at]) then
    out[#out + 1] = ARGV[at]
  end
end
local gone = remove_users(room, ARGV[1], ARGV[2], out, ARGV[6])
if room.seq ~= before then redis.call('HSET', KEYS[1], 'seq', room.seq) end
return {0, gone}
