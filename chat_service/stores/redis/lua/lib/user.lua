-- A user's state and access rules. Needs clock.lua. KEYS of every script that includes this:
--   1 user_key (hash, and the channel)  2 blacklist_key  3 whitelist_key (sets)
--   4 sockets_key (hash)  5 rooms_key (hash)  6 ban_key (string)
--   7 own_key (hash of the rooms in the user's list, to the Unix time in ms at which they came into it; the field ''
--     has a text that is different for each user of this name)

local user_key, blacklist_key, whitelist_key, sockets_key, rooms_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local ban_key, own_key = KEYS[6], KEYS[7]
-- How many keys of a script are the user's. Others may follow.
local USER_KEYS = 7

local function user_exists()
  return redis.call('EXISTS', user_key) == 1
end

-- Let the user expire `ttl` ms (the field 'ttl', or nil) after nothing but the name is left of them, else stay.
local function settle_expiry(ttl, whitelist_only)
  if not ttl then return end
  if whitelist_only or redis.call('EXISTS', sockets_key, blacklist_key, whitelist_key) > 0 then
    redis.call('PERSIST', user_key)
    redis.call('PERSIST', own_key)
  else
    local at = now_ms() + ttl
    redis.call('PEXPIREAT', user_key, at, 'NX')
    redis.call('PEXPIREAT', own_key, at, 'NX')
  end
end

-- rules.has_direct_access
local function accepts_messages_from(sender)
  if redis.call('SISMEMBER', blacklist_key, sender) == 1 then return false end
  return redis.call('HGET', user_key, 'wl') ~= '1' or redis.call('SISMEMBER', whitelist_key, sender) == 1
end

-- Conversations of two users have a colon in their names, other rooms do not.
local function is_conversation(room)
  return string.find(room, ':', 1, true) ~= nil
end

-- The rooms in the list: the conversations, or the others.
local function find_own(conversations)
  local found = {}
  for _, room in ipairs(redis.call('HKEYS', own_key)) do
    if room ~= '' and is_conversation(room) == conversations then found[#found + 1] = room end
  end
  return found
end

-- How many sockets the user has, and how many of them other instances have. Of a user with many sockets it looks at some:
-- the number is then at least this, and the others count as elsewhere.
local function count_sockets(instance)
  local SOME = 32
  local found, elsewhere = redis.call('HRANDFIELD', sockets_key, SOME, 'WITHVALUES'), 0
  local count = #found / 2
  for at = 2, #found, 2 do
    if found[at] ~= instance then elsewhere = elsewhere + 1 end
  end
  if count == SOME and elsewhere == 0 then elsewhere = 1 end
  return count, elsewhere
end
