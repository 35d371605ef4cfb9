-- Move the mark up to which a user has read a room.
-- ARGV: 1 user  2 bypass (0 or 1)  3 id  4 marks_limit: the number of marks that the room keeps
--   5 only_member: whether an admin who is not joined needs a permit first (0 or 1)
-- Returns {0, the id of the mark, moved (0 or 1)}, {0, 0, 0, 0} without a permit, or {'banned', the ban}, {'noRoom'},
--   {'notJoined'}.
-- include: room
-- include: actor_ban
local user, bypass, id, marks_limit = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3]), tonumber(ARGV[4])
local only_member = ARGV[5] == '1'

-- Beyond the limit, forget the two lowest marks among some, except those of joined users.
local function forget_marks(excess)
  local some, others = redis.call('HRANDFIELD', marks_key, 24, 'WITHVALUES'), {}
  for at = 1, #some, 2 do
    local name = some[at]
    if name ~= '' and name ~= user and redis.call('HEXISTS', members_key, name) == 0 then
      others[#others + 1] = {name, tonumber(some[at + 1])}
    end
  end
  table.sort(others, function(a, b) return a[2] < b[2] end)
  for at = 1, math.min(2, #others, excess) do
    redis.call('HDEL', marks_key, others[at][1])
  end
end

local room = load_room()
if not room then return {'noRoom'} end
if not bypass and redis.call('HEXISTS', members_key, user) == 0 then
  if not is_admin(room, user) then return {'notJoined'} end
  if only_member then return {0, 0, 0, 0} end
  local ban = find_ban()
  if ban then return {'banned', ban} end
end
id = math.min(id, room.last)
local f, birth = redis.call('HMGET', marks_key, '', user), redis.call('HGET', room_key, 'birth') or room.epoch
if f[1] and f[1] ~= birth then
  -- Left by an earlier life of the room, which an instance of an earlier version has ended.
  redis.call('UNLINK', marks_key)
  f = {false, false}
end
local before = tonumber(f[2] or 0)
if id <= before then return {0, before, 0} end
redis.call('HSET', marks_key, '', birth, user, id)
if room.gone then redis.call('PEXPIREAT', marks_key, room.gone) end
if not f[2] then
  local excess = redis.call('HLEN', marks_key) - 1 - marks_limit
  if excess > 0 then forget_marks(excess) end
end
return {0, id, 1}
