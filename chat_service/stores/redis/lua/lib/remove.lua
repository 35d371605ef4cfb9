-- Removing users from a room: their sockets leave in one event. Needs bus.lua and room.lua.

-- Returns {user, socket, token, socket, token, ...} of each user who was joined.
local function remove_users(room, inner, outer, users, now)
  local gone, removed, announced = {}, {}, {}
  for _, user in ipairs(users) do
    local member = load_member(user)
    if member then
      local with_tokens, sockets = {user}, {user}
      for at = 2, #member, 3 do
        with_tokens[#with_tokens + 1] = member[at]
        with_tokens[#with_tokens + 1] = member[at + 2]
        sockets[#sockets + 1] = member[at]
      end
      gone[#gone + 1] = with_tokens
      removed[#removed + 1] = sockets
      if member[1] == 1 and room.userlist_updates then announced[#announced + 1] = user end
      redis.call('HDEL', KEYS[5], user)
      redis.call('HSET', KEYS[6], user, now)
    end
  end
  if #gone > 0 then
    publish_room_event(KEYS[1], inner, outer, room, '', '\144', nil, removed, announced)
  end
  return gone
end

local function as_set(names)
  local set = {}
  for _, name in ipairs(names) do set[name] = true end
  return set
end

-- Everybody whom the rules do not allow to stay, when all members have to be looked at.
local function members_without_access(room)
  local admins, blacklist = as_set(redis.call('SMEMBERS', KEYS[2])), as_set(redis.call('SMEMBERS', KEYS[3]))
  local whitelist = as_set(redis.call('SMEMBERS', KEYS[4]))
  local out = {}
  for _, user in ipairs(redis.call('HKEYS', KEYS[5])) do
    local stays = user == room.owner or admins[user]
      or (not blacklist[user] and (whitelist[user] or not room.whitelist_only))
    if not stays then out[#out + 1] = user end
  end
  return out
end
