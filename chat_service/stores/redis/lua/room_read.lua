-- Read something of a room, if the actor may.
-- ARGV: 1 actor or ''  2 bypass (0 or 1)  3 what, then its arguments:
--   'history' after limit; 'end' first last (positions); 'info'; 'settings';
--   'list' number of the list's key, 0 for members; 'seen' user; 'members'; 'changes'
-- Returns {0, ...}, or {'noRoom'}, {'notJoined'}.
-- include: room
local room = load_room()
if not room then return {'noRoom'} end
if ARGV[2] ~= '1' and not may_read(room, ARGV[1]) then return {'notJoined'} end
local what = ARGV[3]
if what == 'history' then
  -- Ids are dense, so positions tell them: the newest is at 0.
  local following = math.min(room.last - tonumber(ARGV[4]), redis.call('LLEN', KEYS[7]))
  if following <= 0 then return {0, {}} end
  return {0, redis.call('LRANGE', KEYS[7], math.max(following - tonumber(ARGV[5]), 0), following - 1)}
elseif what == 'end' then
  return {0, redis.call('LRANGE', KEYS[7], ARGV[4], ARGV[5])}
elseif what == 'info' then
  return {0, redis.call('LLEN', KEYS[7]), room.history_max, room.last, room.epoch, room.seq}
elseif what == 'settings' then
  return {0, room.owner, room.whitelist_only and 1 or 0, room.userlist_updates and 1 or 0,
    room.lists_updates and 1 or 0}
elseif what == 'list' then
  if ARGV[4] == '0' then return {0, redis.call('HKEYS', KEYS[5])} end
  return {0, redis.call('SMEMBERS', KEYS[tonumber(ARGV[4])])}
elseif what == 'seen' then
  return {0, redis.call('HEXISTS', KEYS[5], ARGV[4]), redis.call('HGET', KEYS[6], ARGV[4])}
elseif what == 'members' then
  return {0, redis.call('HGETALL', KEYS[5])}
elseif what == 'changes' then
  return {0, redis.call('LRANGE', KEYS[8], 0, -1)}
end
