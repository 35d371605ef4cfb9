-- The messages that a join with a cursor returns: rules.select_history. Needs lib/room.lua and lib/history.lua.
-- at: the index in ARGV of: after (an id or '')  its epoch or ''  limit  recent  budget (bytes, or '')
-- Appends {recovered, more, messages (newest first)} to the result, if the arguments are there.
local function append_history(result, room, at)
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
  if recovered then upto = first + #found - 1 end
  result[#result + 1] = recovered and 1 or 0
  result[#result + 1] = (recovered and upto < last) and 1 or 0
  result[#result + 1] = found
  return result
end
