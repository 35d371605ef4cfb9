-- Rate limits (GCRA). A string holds the time, in µs on Redis' clock, at which everything done so far would be finished
-- at the allowed rate.

-- interval, tolerance: of contracts.records.Rate, in µs. Returns the ms to wait, or nil and what take_turn needs.
local function ask_turn(pace_key, interval, tolerance)
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local due = tonumber(redis.call('GET', pace_key) or '') or 0
  -- A clock that was set back must not lock anybody out.
  due = math.min(math.max(due, now), now + tolerance + interval)
  local ahead = due - now - tolerance
  if ahead > 0 then return math.ceil(ahead / 1000) end
  due = due + interval
  return nil, {string.format('%.0f', due), math.ceil((due - now) / 1000)}
end

local function take_turn(pace_key, turn)
  redis.call('SET', pace_key, turn[1], 'PX', turn[2])
end
