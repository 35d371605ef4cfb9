-- The messages that a join with a cursor returns: rules.select_history. Needs lib/room.lua, lib/history.lua and lib/fold.lua.
-- at: the index in ARGV of: after (an id or '')  its epoch or ''  limit  recent  budget (bytes, or '')
--   fold (0 or 1)
-- Appends {recovered, more, messages (newest first)} to the result, if the arguments are there; to fold the messages for
-- the user also the other three lists of lib/fold.lua.
local function append_history(result, room, at, user)
  if ARGV[at] == nil then return result end
  local after, epoch = tonumber(ARGV[at]), ARGV[at + 1]
  local limit, recent, budget = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local last, stored = room.last, count_stored(room)
  local recovered, first, upto = false, last - math.min(recent, stored) + 1, last
  if after and (epoch == '' or epoch == room.epoch) and
      (after == last or (limit > 0 and after + 1 >= last - stored + 1 and after + 1 <= last)) then
    recovered, first, upto = true, after + 1, math.min(after + limit, last)
  end
  -- Ids are dense and the newest message is at position 0.
  local found = read_history(history_key, last - upto, last - first, budget, recovered)
  local folds
  if ARGV[at + 5] == '1' then
    local newest = recovered and first + #found - 1 or upto
    folds = fold_history(room, found, newest, user, budget, recovered)
    found = folds[1]
  end
  if recovered then upto = first + #found - 1 end
  result[#result + 1] = recovered and 1 or 0
  result[#result + 1] = (recovered and upto < last) and 1 or 0
  result[#result + 1] = found
  for list = 2, folds and 4 or 1 do result[#result + 1] = folds[list] end
  return result
end
