-- Facts that are not in the records of members, because instances of an earlier version read those: the details of
-- sockets, and when users joined whom the room does not remember. Needs room.lua.

-- An entry of details_key is {joined (ms), its token, token, number, details, token, number, details, ...}. Each
-- token belongs to a joined socket. Parts with any other token were left behind by an instance of an earlier version,
-- and do not count. Joined is 0 for a user whom the room remembers. The number is higher for details that were set
-- later. The field 'details' of the room counts them; a room without entries has no such field.

local function has_token(member, token)
  for at = 4, #member, 3 do
    if member[at] == token then return true end
  end
  return false
end

-- A stored entry, or nil.
local function unpack_details(packed)
  return packed and cmsgpack.unpack(packed) or nil
end

-- What counts of a stored entry.
local function valid_details(stored, member)
  local entry = {0, ''}
  if not stored then return entry end
  if has_token(member, stored[2]) then entry = {stored[1], stored[2]} end
  for at = 3, #stored, 3 do
    if has_token(member, stored[at]) then
      for part = at, at + 2 do entry[#entry + 1] = stored[part] end
    end
  end
  return entry
end

-- A room without entries keeps no trace of those there were.
local function forget_details(room, user)
  if not room.has_details then return end
  if redis.call('HDEL', details_key, user) == 1 and redis.call('EXISTS', details_key) == 0 then
    redis.call('HDEL', room_key, 'details')
    room.has_details = false
  end
end

local function store_details(room, user, entry)
  if entry[2] == '' and #entry == 2 then
    forget_details(room, user)
  else
    redis.call('HSET', details_key, user, cmsgpack.pack(entry))
  end
end

local function drop_details(entry, token)
  for at = #entry - 2, 3, -3 do
    if entry[at] == token then
      for _ = 1, 3 do table.remove(entry, at) end
    end
  end
end

-- Set the details ('' for none) of the socket with this token.
local function put_details(room, entry, token, details)
  drop_details(entry, token)
  if details == '' then return end
  local number = redis.call('HINCRBY', room_key, 'details', 1)
  room.has_details = true
  for _, part in ipairs({token, number, details}) do entry[#entry + 1] = part end
end

-- A socket of the user joins with this token. before: the token that it had already, or nil; is_unknown: the user was not
-- joined, and the room does not remember the time.
local function join_details(room, user, member, before, token, is_unknown, now, details)
  if before then
    -- Nothing changes but the token.
    local stored = room.has_details and unpack_details(redis.call('HGET', details_key, user))
    if not stored then return end
    if stored[2] == before then stored[2] = token end
    for at = 3, #stored, 3 do
      if stored[at] == before then stored[at] = token end
    end
    store_details(room, user, valid_details(stored, member))
  elseif is_unknown or details ~= '' then
    local entry = valid_details(unpack_details(redis.call('HGET', details_key, user)), member)
    if is_unknown then
      entry[1], entry[2] = tonumber(now), token
      if not room.has_details then redis.call('HINCRBY', room_key, 'details', 1) end
      room.has_details = true
    end
    put_details(room, entry, token, details)
    store_details(room, user, entry)
  end
end

-- The socket with this token has left; member has the others.
local function leave_details(room, user, member, token)
  local stored = room.has_details and unpack_details(redis.call('HGET', details_key, user))
  if not stored then return end
  if stored[2] == token then stored[2] = member[4] or '' end
  store_details(room, user, valid_details(stored, member))
end

-- The details that were set last, or false.
local function latest_details(entry)
  local latest, found = 0, false
  for at = 3, #entry, 3 do
    if entry[at + 1] > latest then latest, found = entry[at + 1], entry[at + 2] end
  end
  return found
end
