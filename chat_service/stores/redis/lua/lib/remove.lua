-- Removing users from a room in a single event. Needs bus.lua, room.lua, details.lua,
-- room_event.lua and room_expiry.lua.

-- Returns a list {user, socket, instance, token, socket, instance, token, ...} for each user who was joined. The
-- event has the sequence number that the room has afterwards.
local function remove_users(room, users, now)
  local gone, removed, announced = {}, {}, {}
  for _, user in ipairs(users) do
    local member = load_member(user)
    if member then
      local sockets = {user}
      for at = 2, #member, 3 do sockets[#sockets + 1] = member[at] end
      removed[#removed + 1] = sockets
      if member[1] == 1 and room.userlist_updates then announced[#announced + 1] = user end
      member[1] = user
      gone[#gone + 1] = member
      redis.call('HDEL', members_key, user)
      forget_details(room, user)
      update_seen(user, now)
    end
  end
  if #gone > 0 then
    publish_room_event(room, '', NO_BODY, nil, removed, announced)
    expire_if_empty(room)
  end
  return gone
end

local function as_set(names)
  local set = {}
  for _, name in ipairs(names) do set[name] = true end
  return set
end

-- All members who may not stay. Checks every member, so it loads each access list once.
local function members_without_access(room)
  local admins = as_set(redis.call('SMEMBERS', adminlist_key))
  local blacklist = as_set(redis.call('SMEMBERS', blacklist_key))
  local whitelist = as_set(redis.call('SMEMBERS', whitelist_key))
  local out = {}
  for _, user in ipairs(redis.call('HKEYS', members_key)) do
    local stays = user == room.owner or admins[user]
      or (not blacklist[user] and (whitelist[user] or not room.whitelist_only))
    if not stays then out[#out + 1] = user end
  end
  return out
end
