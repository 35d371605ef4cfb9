-- Removing users from a room: a few in a single event, many by a decision that slices follow. Needs bus.lua, room.lua,
-- details.lua, room_event.lua, room_expiry.lua and leaving.lua.

-- How many users one event removes by name. It also fits into CHANGE_SIZE.
local REMOVED_AT_ONCE = 200

-- What a script returns of removed users is {list, id}: for each of a few {user, socket, instance, token, socket, ...};
-- of many the id of lib/leaving.lua, else false.
local NOBODY_REMOVED = {{}, false}

local function as_set(names)
  local set = {}
  for _, name in ipairs(names) do set[name] = true end
  return set
end

-- Whether removing so many has to wait until an earlier change is finished.
local function must_clear_first(room, count)
  return room.leaving and count > REMOVED_AT_ONCE
end

-- For those of the users who are joined, each once, a list of names and one of packed members.
local function find_members(users)
  local names, members, known = {}, {}, {}
  in_parts(users, function(first, last)
    local found = redis.call('HMGET', members_key, unpack(users, first, last))
    for at = first, last do
      local user, packed = users[at], found[at - first + 1]
      if packed and not known[user] then
        known[user] = true
        names[#names + 1], members[#members + 1] = user, packed
      end
    end
  end)
  return names, members
end

local function update_seen_of(users, now)
  in_parts(users, function(first, last)
    local known, seen = redis.call('HMGET', seen_key, unpack(users, first, last)), {}
    for at = first, last do
      if known[at - first + 1] then seen[#seen + 1], seen[#seen + 2] = users[at], now end
    end
    if #seen > 0 then redis.call('HSET', seen_key, unpack(seen)) end
  end)
end

local function delete_fields(key, fields)
  in_parts(fields, function(first, last) redis.call('HDEL', key, unpack(fields, first, last)) end)
end

local function set_fields(key, fields, values)
  in_parts(fields, function(first, last)
    local flat = {}
    for at = first, last do flat[#flat + 1], flat[#flat + 2] = fields[at], values[at] end
    redis.call('HSET', key, unpack(flat))
  end)
end

-- Of packed members: what a script returns of each, what an event says of each, and who is announced to have left.
local function describe_members(room, users, members)
  local gone, removed, announced = {}, {}, {}
  for at, user in ipairs(users) do
    local member = cmsgpack.unpack(members[at])
    local sockets = {user}
    for place = 2, #member, 3 do sockets[#sockets + 1] = member[place] end
    if member[1] == 1 and room.userlist_updates then announced[#announced + 1] = user end
    member[1] = user
    gone[at], removed[at] = member, sockets
  end
  return gone, removed, announced
end

-- Decide that many users are out: everybody but `stayed`, or else `users`. Their members have to be moved to the
-- key of the id that this returns. Writes before anything is published, since this fails when memory is short.
local function decide_leaving(room, now, users, stayed)
  local id = room.epoch .. ':' .. room.seq + 1
  room.leaving = id .. ':' .. now
  redis.call('HSET', room_key, 'leaving', room.leaving)
  local removed
  if not stayed then
    removed = {}
    for at, user in ipairs(users) do removed[at] = {user} end
  end
  publish_room_event(room, '', NO_BODY, nil, removed, nil, stayed)
  -- Earlier versions cannot read that event. They miss it now, and catch up before they deliver anything else.
  if stayed then publish_room_event(room, '', NO_BODY) end
  return id
end

-- Remove users, those of them who are joined. The last event has the sequence number that the room has afterwards.
local function remove_users(room, users, now)
  local names, members = find_members(users)
  if #names == 0 then return NOBODY_REMOVED end
  if #names > REMOVED_AT_ONCE then
    local id = decide_leaving(room, now, names)
    set_fields(leaving_key(id), names, members)
    redis.call('EXPIRE', leaving_key(id), LEAVING_TTL)
    delete_fields(members_key, names)
    expire_if_empty(room)
    return {{}, id}
  end
  local gone, removed, announced = describe_members(room, names, members)
  publish_room_event(room, '', NO_BODY, nil, removed, announced)
  delete_fields(members_key, names)
  if room.has_details then delete_fields(details_key, names) end
  update_seen_of(names, now)
  expire_if_empty(room)
  return {gone, false}
end

-- Remove all but some members. packed: of those who stay, in the same order.
local function remove_others(room, stayed, packed, now)
  local count = redis.call('HLEN', members_key) - #stayed
  if count <= REMOVED_AT_ONCE or count < #stayed then
    local out, stays = {}, as_set(stayed)
    for _, user in ipairs(count > 0 and redis.call('HKEYS', members_key) or {}) do
      if not stays[user] then out[#out + 1] = user end
    end
    return remove_users(room, out, now)
  end
  local id = decide_leaving(room, now, nil, stayed)
  redis.call('RENAME', members_key, leaving_key(id))
  redis.call('EXPIRE', leaving_key(id), LEAVING_TTL)
  set_fields(members_key, stayed, packed)
  delete_fields(leaving_key(id), stayed)
  if #stayed == 0 then redis.call('UNLINK', details_key) end
  expire_if_empty(room)
  return {{}, id}
end

-- Which of the names a list has: a list of 0 and 1.
local function find_in_list(list_key, names)
  local found = {}
  if #names == 0 or redis.call('EXISTS', list_key) == 0 then return found end
  in_parts(names, function(first, last)
    for at, is_there in ipairs(redis.call('SMISMEMBER', list_key, unpack(names, first, last))) do
      found[first + at - 1] = is_there
    end
  end)
  return found
end

-- Those of the users who have access, or who have not, and their values. rules.has_room_access for many.
-- is_listed: each is the owner or in the whitelist or the adminlist.
local function select_by_access(room, wanted, users, values, is_listed)
  local blacklist = find_in_list(blacklist_key, users)
  local admins = (#blacklist > 0 or not is_listed) and find_in_list(adminlist_key, users) or {}
  local must_be_listed = room.whitelist_only and not is_listed
  local whitelist = must_be_listed and find_in_list(whitelist_key, users) or {}
  local found, their_values = {}, {}
  for at, user in ipairs(users) do
    local has_access = user == room.owner or admins[at] == 1
      or (blacklist[at] ~= 1 and (whitelist[at] == 1 or not must_be_listed))
    if has_access == wanted then
      found[#found + 1], their_values[#their_values + 1] = user, values[at]
    end
  end
  return found, their_values
end

-- Remove those of the users who are joined and may not stay.
local function remove_if_without_access(room, users, now)
  return remove_users(room, (select_by_access(room, false, find_members(users))), now)
end

-- Remove all members who may not stay. Looks at those whom the lists name, or at all members if these are fewer.
local function remove_all_without_access(room, now)
  local decisive = room.whitelist_only and {whitelist_key, adminlist_key} or {blacklist_key}
  local count = 1
  for _, list_key in ipairs(decisive) do count = count + redis.call('SCARD', list_key) end
  local is_listed = count <= redis.call('HLEN', members_key)
  local users
  if is_listed then
    users = {room.owner}
    for _, list_key in ipairs(decisive) do
      for _, name in ipairs(redis.call('SMEMBERS', list_key)) do users[#users + 1] = name end
    end
  else
    users = redis.call('HKEYS', members_key)
  end
  if not room.whitelist_only then return remove_if_without_access(room, users, now) end
  local names, packed = find_members(users)
  local stayed, their_packed = select_by_access(room, true, names, packed, is_listed)
  return remove_others(room, stayed, their_packed, now)
end
