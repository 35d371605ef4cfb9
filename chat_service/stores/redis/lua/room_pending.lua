-- Do a slice of the unfinished change of a room (lib/pending.lua), if there is one.
-- Returns {0, whether more is left (0 or 1)}.
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
-- include: pending
local room = load_room(true)
if not room or not room.pending then return {0, 0} end
local work = cmsgpack.unpack(room.pending)
local what, now = work[1], work[2]
local names, members, is_done

-- Those of the names that are in the list, or are not.
local function select_names(list_key, candidates, wanted)
  local found = {}
  if #candidates == 0 then return found end
  for at, is_there in ipairs(redis.call('SMISMEMBER', list_key, unpack(candidates))) do
    if is_there == wanted then found[#found + 1] = candidates[at] end
  end
  return found
end

local function tell(event, list_name, room_name, changed)
  if room.lists_updates and #changed > 0 then
    publish_room_event(room, event, cmsgpack.pack({room_name, list_name, changed}))
  end
end

local function take_names()
  local list_key, list_name, room_name = KEYS[work[3]], work[4], work[5]
  local named, added, removed = {}, {}, {}
  local taken = redis.call('ZPOPMIN', pending_key, NAMES_AT_ONCE)
  for at = 1, #taken, 2 do
    local name = taken[at]
    if name:sub(1, 1) == REMOVED_SIGN then
      name = name:sub(2)
      removed[#removed + 1] = name
    else
      added[#added + 1] = name
    end
    named[#named + 1] = name
  end
  added = select_names(list_key, added, 0)
  if #added > 0 then
    redis.call('SADD', list_key, unpack(added))
    expire_with_room(room, list_key)
  end
  removed = select_names(list_key, removed, 1)
  if #removed > 0 then redis.call('SREM', list_key, unpack(removed)) end
  tell('roomAccessListAdded', list_name, room_name, added)
  tell('roomAccessListRemoved', list_name, room_name, removed)
  names, members = find_members(named)
  is_done = redis.call('EXISTS', pending_key) == 0
end

local function take_members()
  local found = redis.call('HSCAN', members_key, work[3], 'COUNT', NAMES_AT_ONCE)
  names, members, work[3] = {}, {}, found[1]
  for at = 1, #found[2], 2 do
    names[#names + 1], members[#members + 1] = found[2][at], found[2][at + 1]
  end
  is_done = work[3] == '0'
end

if what == 'names' then take_names() else take_members() end
names, members = select_by_access(room, false, names, members)
local id = parse_leaving(room)
local key = leaving_key(id)
if #names > 0 then
  set_fields(key, names, members)
  redis.call('EXPIRE', key, LEAVING_TTL)
  delete_fields(members_key, names)
  local out = {}
  for at, user in ipairs(names) do out[at] = {user} end
  publish_room_event(room, '', NO_BODY, nil, out)
end
redis.call('HSET', room_key, 'seq', room.seq)
if not is_done then
  if what == 'sift' then redis.call('HSET', room_key, 'pending', cmsgpack.pack(work)) end
  return {0, 1}
end
redis.call('HDEL', room_key, 'pending')
if redis.call('EXISTS', key) == 0 then redis.call('HDEL', room_key, 'leaving') end
expire_if_empty(room)
return {0, 0}
