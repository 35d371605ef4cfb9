-- Change a setting of a room, and remove the users who lose access.
-- ARGV: 1 actor or ''  2 bypass (0 or 1)  3 now (ms)  4 what, then its arguments:
--   'mode' whitelist_only (0 or 1), packed arguments of roomModeChanged; 'owner' name or '';
--   'history' size (number of messages); 'bytes' size (of the messages in the history);
--   'age' history_ttl (ms or ''); 'empty' empty_ttl (ms or '');
--   'updates' userlist, access lists (0, 1 or '' for no change); 'remove' users
-- Returns {0, removed users as in lib/remove.lua, epoch, seq}, for 'owner' followed by the user for whose limit the
--   room no longer counts or false, and birth; or {'banned', the ban}, {'noRoom'}, {'notAllowed'},
--   {'clearing', id}: room_clear.lua has to finish an earlier change first.
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
-- include: remove
-- include: pending
local actor, bypass, now, what = ARGV[1], ARGV[2] == '1', ARGV[3], ARGV[4]
local first_argument = 5

local ban = find_ban()
if ban then return {'banned', ban} end
local room = load_room()
if not room then return {'noRoom'} end
if not bypass and not is_admin(room, actor) then return {'notAllowed'} end
local before, out, gone, freed, birth = room.seq, {}, nil, false, false
local count = what == 'mode' and redis.call('HLEN', members_key) or #ARGV - first_argument + 1
-- Removing nobody asks for the same.
if must_clear_first(room, count) or (what == 'remove' and count == 0 and room.leaving) then
  return {'clearing', parse_leaving(room)}
end
if what == 'mode' then
  local whitelist_only, body = ARGV[5], ARGV[6]
  redis.call('HSET', room_key, 'wl', whitelist_only)
  room.whitelist_only = whitelist_only == '1'
  if room.lists_updates then publish_room_event(room, 'roomModeChanged', body) end
  if is_long_to_sift(room) then
    gone = begin_pending(room, now, {'sift', now, '0'})
  else
    gone = remove_all_without_access(room, now)
  end
elseif what == 'owner' then
  local former, owner = room.owner, ARGV[5]
  redis.call('HSET', room_key, 'owner', owner)
  room.owner = owner
  local f = redis.call('HMGET', room_key, 'counted', 'birth')
  if f[1] and f[1] ~= owner then
    freed, birth = f[1], f[2]
    redis.call('HDEL', room_key, 'counted')
  end
  if former ~= '' and not has_access(room, former) then out = {former} end
elseif what == 'history' then
  local size = ARGV[5]
  redis.call('HSET', room_key, 'hmax', size)
  if size == '0' then
    redis.call('UNLINK', history_key, times_key, interactions_key)
  else
    redis.call('LTRIM', history_key, 0, tonumber(size) - 1)
  end
  local max_bytes = parse_size(redis.call('HGET', room_key, 'hb'))
  if max_bytes then redis.call('HSET', room_key, 'hb', recount(history_key, room.last, max_bytes)) end
elseif what == 'bytes' then
  local max_bytes = ARGV[5]
  redis.call('HSET', room_key, 'hb', recount(history_key, room.last, max_bytes))
elseif what == 'age' then
  local ttl, kept = ARGV[5], count_stored(room)
  -- What was too old until now does not come back.
  redis.call('LTRIM', history_key, 0, kept - 1)
  redis.call('LTRIM', times_key, 0, kept - 1)
  if kept == 0 then redis.call('UNLINK', history_key, times_key, interactions_key) end
  local max_bytes = parse_size(redis.call('HGET', room_key, 'hb'))
  if max_bytes then redis.call('HSET', room_key, 'hb', recount(history_key, room.last, max_bytes)) end
  if ttl == '' then
    redis.call('HDEL', room_key, 'httl')
    redis.call('UNLINK', times_key)
    for _, key in ipairs({history_key, interactions_key}) do
      redis.call('PERSIST', key)
      expire_with_room(room, key)
    end
  else
    redis.call('HSET', room_key, 'httl', ttl)
    if kept > 0 then
      local newest = redis.call('LINDEX', times_key, 0)
      if not newest then
        newest = now_ms()
        fill_times(times_key, kept, newest)
      end
      expire_history(history_key, times_key, tonumber(newest), tonumber(ttl), room.gone, interactions_key)
    end
  end
elseif what == 'empty' then
  local ttl = ARGV[5]
  stop_expiry(room)
  room.empty_ttl = tonumber(ttl)
  if ttl == '' then
    redis.call('HDEL', room_key, 'ettl')
  else
    redis.call('HSET', room_key, 'ettl', ttl)
    expire_if_empty(room)
  end
elseif what == 'updates' then
  local userlist, lists = ARGV[5], ARGV[6]
  if userlist ~= '' then redis.call('HSET', room_key, 'uu', userlist) end
  if lists ~= '' then redis.call('HSET', room_key, 'au', lists) end
elseif what == 'remove' then
  for at = first_argument, #ARGV do out[#out + 1] = ARGV[at] end
end
gone = gone or remove_users(room, out, now)
if room.seq ~= before then redis.call('HSET', room_key, 'seq', room.seq) end
return {0, gone, room.epoch, room.seq, freed, birth}
