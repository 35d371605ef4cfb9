-- How messages refer to others: decides like interactions.judge, and records the outcome. Needs clock.lua.

-- interactions_key (hash): 'birth': the room's birth, since an instance of an earlier version does not delete this key
-- with the room; an id: packed {id of the last edit, id of the deletion (0: none), reaction, count, reaction, count, ...};
-- id:user: packed {reaction, id of its message, ...}, the user's reactions to the message.

-- How many fields one message looks at, to remove those of messages that are no longer stored. It adds at most two.
local LOOKED_AT = 8

local function stored_under(history_key, times_key, id, last, ttl)
  local item = redis.call('LINDEX', history_key, last - id)
  if item and ttl then
    local time = redis.call('LINDEX', times_key, last - id)
    if time and tonumber(time) <= now_ms() - ttl then return nil end
  end
  return item
end

-- Whether a stored message has the field relatesTo, which is always the first one, other than as a reply.
local function is_special(item, id)
  local at, head = 1, '{"id":' .. id .. ',"relatesTo":{"type":"'
  local reply = 'reply"'
  if string.byte(item) == 1 then
    -- Packed: the id, the head of a map of up to 15, 65535 or more fields, and its first field.
    at = 2 + #cmsgpack.pack(tonumber(id))
    local map = string.byte(item, at)
    at = at + (map == 0xde and 3 or map == 0xdf and 5 or 1)
    head = cmsgpack.pack('relatesTo')
    if string.sub(item, at, at + #head - 1) ~= head then return false end
    -- The head of its own map of two or three fields.
    at = at + #head + 1
    head, reply = cmsgpack.pack('type'), cmsgpack.pack('reply')
  end
  if string.sub(item, at, at + #head - 1) ~= head then return false end
  at = at + #head
  return string.sub(item, at, at + #reply - 1) ~= reply
end

-- The author is the last field of a message. ends: how a message of the actor ends, as JSON and packed, or '' without.
local function is_author(item, ends)
  local own = string.byte(item) == 1 and ends[2] or ends[1]
  return own ~= '' and string.sub(item, -#own) == own
end

local function find_reaction(list, first, reaction)
  for at = first, #list, 2 do
    if list[at] == reaction then return at end
  end
end

-- Judge a message that says something about another one. r: the relation, with the fields kind, id, reaction, epoch or
-- '', limit, author, ends, is_admin; room: epoch, birth, last, ttl; keys: history, times, interactions.
-- Returns the script's answer if nothing is to be stored, else nil; then what keep_relation needs, if anything.
local function judge_relation(r, room, keys)
  local id = tonumber(r.id)
  local missing = {'noMessage', id}
  if (r.epoch ~= '' and r.epoch ~= room.epoch) or id > room.last then return missing end
  local item = stored_under(keys.history, keys.times, id, room.last, room.ttl)
  if item and is_special(item, r.id) then return missing end
  if r.kind == 'reply' then return nil end
  if not item then return missing end
  if (r.kind == 'edit' or r.kind == 'deletion') and not r.is_admin and not is_author(item, r.ends) then
    return {'notAllowed'}
  end
  local own_field = r.id .. ':' .. r.author
  local known = redis.call('HMGET', keys.interactions, 'birth', r.id, own_field)
  local is_known = known[1] == room.birth
  local marks = is_known and known[2] and cmsgpack.unpack(known[2]) or {0, 0}
  if marks[2] ~= 0 then
    if r.kind == 'deletion' then return {0, marks[2], 1} end
    return missing
  end
  local own = is_known and known[3] and cmsgpack.unpack(known[3]) or {}
  local at = find_reaction(own, 1, r.reaction)
  if r.kind == 'reaction' then
    if at then return {0, own[at + 1], 1} end
    if not find_reaction(marks, 3, r.reaction) and (#marks - 2) / 2 >= r.limit then
      return {'limitExceeded', 'reactions of a message'}
    end
  elseif r.kind == 'unreaction' and not at then
    return {0, 0, 1}
  end
  return nil, {is_known = is_known, marks = marks, own = own, own_field = own_field, own_at = at}
end

-- Keep what the message with this id says; found: the second result of judge_relation; gone: when the room expires.
local function keep_relation(r, room, keys, found, id, gone)
  local key, marks, own = keys.interactions, found.marks, found.own
  if not found.is_known then
    redis.call('UNLINK', key)
    redis.call('HSET', key, 'birth', room.birth)
  end
  if r.kind == 'edit' then
    marks[1] = id
  elseif r.kind == 'deletion' then
    marks = {0, id}
  else
    local at = find_reaction(marks, 3, r.reaction)
    if r.kind == 'reaction' then
      own[#own + 1], own[#own + 2] = r.reaction, id
      if not at then
        at = #marks + 1
        marks[at], marks[at + 1] = r.reaction, 0
      end
      marks[at + 1] = marks[at + 1] + 1
    else
      table.remove(own, found.own_at)
      table.remove(own, found.own_at)
      marks[at + 1] = marks[at + 1] - 1
      if marks[at + 1] == 0 then
        table.remove(marks, at)
        table.remove(marks, at)
      end
    end
    if #own == 0 then redis.call('HDEL', key, found.own_field) end
  end
  if r.kind == 'reaction' or (r.kind == 'unreaction' and #own > 0) then
    redis.call('HSET', key, r.id, cmsgpack.pack(marks), found.own_field, cmsgpack.pack(own))
  else
    redis.call('HSET', key, r.id, cmsgpack.pack(marks))
  end
  -- Whatever it says about messages that are no longer stored goes bit by bit.
  local oldest = id + 1 - redis.call('LLEN', keys.history)
  for _, field in ipairs(redis.call('HRANDFIELD', key, LOOKED_AT)) do
    local target = tonumber(string.match(field, '^%d+'))
    if target and target < oldest then redis.call('HDEL', key, field) end
  end
  -- All messages that it refers to are too old by then.
  local expires = room.ttl and now_ms() + room.ttl
  if gone and (not expires or gone < expires) then expires = gone end
  if expires then redis.call('PEXPIREAT', key, expires) end
end
