-- A room's state and rules. KEYS of every script that includes this:
--   1 room (hash, and the channel)  2 adminlist  3 blacklist  4 whitelist (sets)
--   5 members (hash)  6 seen (hash)  7 history (list, newest first)
--   8 changes (list of events other than messages, newest first)

local function load_room()
  local f = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'last', 'owner', 'wl', 'uu', 'au', 'hmax')
  if not f[1] then return nil end
  return {
    epoch = f[1], seq = tonumber(f[2]), last = tonumber(f[3]), owner = f[4],
    whitelist_only = f[5] == '1', userlist_updates = f[6] == '1', lists_updates = f[7] == '1',
    history_max = tonumber(f[8]),
  }
end

local function is_owner(room, user)
  return user ~= '' and user == room.owner
end

local function is_admin(room, user)
  return user ~= '' and (user == room.owner or redis.call('SISMEMBER', KEYS[2], user) == 1)
end

-- rules.has_room_access
local function has_access(room, user)
  if is_admin(room, user) then return true end
  if redis.call('SISMEMBER', KEYS[3], user) == 1 then return false end
  return not room.whitelist_only or redis.call('SISMEMBER', KEYS[4], user) == 1
end

-- rules.may_read
local function may_read(room, user)
  return user ~= '' and (redis.call('HEXISTS', KEYS[5], user) == 1 or is_admin(room, user))
end

-- A member is {announced (0 or 1), socket, instance, token, socket, instance, token, ...}.
local function load_member(user)
  local packed = redis.call('HGET', KEYS[5], user)
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
