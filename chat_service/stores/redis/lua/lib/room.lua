-- A room's state and access rules. KEYS of every script that includes this:
--   1 room_key (hash, and the channel)  2 adminlist_key  3 blacklist_key  4 whitelist_key (sets)
--   5 members_key (hash)  6 seen_key (hash)  7 history_key (list, newest first)
--   8 changes_key (list of events other than messages, newest first)
--   9 times_key (list of ms, newest first: see history_age.lua)  10 details_key (hash: see details.lua)
--   11 marks_key (hash of user to the id up to which they have read; the field '' has the room's birth)
--   12 interactions_key (hash: see interactions.lua)
--   13 pending_key (sorted set: see pending.lua)

local room_key, adminlist_key, blacklist_key, whitelist_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local members_key, seen_key, history_key, changes_key, times_key = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local details_key, marks_key, interactions_key, pending_key = KEYS[10], KEYS[11], KEYS[12], KEYS[13]
-- How many keys of a script are the room's. Others may follow, which do not live and expire with it.
local ROOM_KEYS = 13

-- takes_unfinished: whether the script may see a room while a change of it is unfinished. All others fail then without
-- having changed anything, and the caller finishes the change before it repeats them: see pending.lua.
local function load_room(takes_unfinished)
  local f = redis.call('HMGET', room_key, 'epoch', 'seq', 'last', 'owner', 'wl', 'uu', 'au', 'hmax', 'httl', 'ettl', 'gone',
    'details', 'leaving', 'pending')
  if not f[1] then return nil end
  if f[14] and not takes_unfinished then error({err = 'UNFINISHED'}) end
  return {
    epoch = f[1], seq = tonumber(f[2]), last = tonumber(f[3]), owner = f[4],
    whitelist_only = f[5] == '1', userlist_updates = f[6] == '1', lists_updates = f[7] == '1',
    history_max = tonumber(f[8]),
    -- In ms, or nil: see history_age.lua and room_expiry.lua.
    history_ttl = tonumber(f[9]), empty_ttl = tonumber(f[10]), gone = tonumber(f[11]),
    has_details = f[12] and true or false,
    -- See leaving.lua.
    leaving = f[13],
    -- See pending.lua.
    pending = f[14],
  }
end

local function is_owner(room, user)
  return user ~= '' and user == room.owner
end

local function is_admin(room, user)
  return user ~= '' and (user == room.owner or redis.call('SISMEMBER', adminlist_key, user) == 1)
end

-- rules.has_room_access
local function has_access(room, user)
  if is_admin(room, user) then return true end
  if redis.call('SISMEMBER', blacklist_key, user) == 1 then return false end
  return not room.whitelist_only or redis.call('SISMEMBER', whitelist_key, user) == 1
end

-- rules.may_read
local function may_read(room, user)
  return user ~= '' and (redis.call('HEXISTS', members_key, user) == 1 or is_admin(room, user))
end

-- A member is {announced (0 or 1), socket, instance, token, socket, instance, token, ...}.
local function load_member(user)
  local packed = redis.call('HGET', members_key, user)
  return packed and cmsgpack.unpack(packed) or nil
end

local function find_socket(member, socket)
  for at = 2, #member, 3 do
    if member[at] == socket then return at end
  end
  return nil
end

local function count_sockets(member)
  return (#member - 1) / 3
end

-- Users whose joins were not remembered are not remembered when they leave either.
local function update_seen(user, now)
  if redis.call('HEXISTS', seen_key, user) == 1 then redis.call('HSET', seen_key, user, now) end
end

-- How many arguments a command gets at most: Lua's stack holds 8,000.
local ARGUMENTS_AT_ONCE = 1000

-- Call act with the first and the last position of each part of a list.
local function in_parts(list, act)
  for first = 1, #list, ARGUMENTS_AT_ONCE do act(first, math.min(first + ARGUMENTS_AT_ONCE - 1, #list)) end
end

-- Beyond the limit, forget the two who left longest ago among some, as Redis evicts keys: each join adds at most
-- one, so the number comes down to the limit at a constant cost. Joined users are kept.
local function forget_seen(limit)
  local excess = redis.call('HLEN', seen_key) - limit
  if excess <= 0 then return end
  local some, left = redis.call('HRANDFIELD', seen_key, 24, 'WITHVALUES'), {}
  for at = 1, #some, 2 do
    if redis.call('HEXISTS', members_key, some[at]) == 0 then
      left[#left + 1] = {some[at], tonumber(some[at + 1])}
    end
  end
  table.sort(left, function(a, b) return a[2] < b[2] end)
  for at = 1, math.min(2, #left, excess) do
    redis.call('HDEL', seen_key, left[at][1])
  end
end
