-- Publishing from a script. The layout of an envelope is described in envelopes.py.
-- A script that includes this is made into a function with the parameters inner_key and outer_key, the keys of the HMAC,
-- and has_stamps (all '' without a secret). The last line of its text calls it with them: see scripts.py.

local function raw_sha1(data)
  return (redis.sha1hex(data):gsub('..', function(digits) return string.char(tonumber(digits, 16)) end))
end

local function signature(channel, content)
  if inner_key == '' then return '' end
  return raw_sha1(outer_key .. raw_sha1(inner_key .. channel .. '\0' .. content))
end

-- Sign and publish an event that the room numbers.
local function send(channel, payload)
  redis.call('SPUBLISH', channel, '\1' .. signature(channel, payload) .. payload)
end

local last_stamp = 0

-- Sign and publish anything else, with a stamp if there is a secret: the time of this node in us, which is later than
-- that of everything it has published before. Publishing takes longer than 1 us.
local function notify(channel, payload)
  if has_stamps == '' then return send(channel, payload) end
  local time = redis.call('TIME')
  last_stamp = math.max(time[1] * 1000000 + time[2], last_stamp + 1)
  local stamped = string.format('%016.0f', last_stamp) .. payload
  redis.call('SPUBLISH', channel, '\2' .. signature(channel, '\2' .. stamped) .. stamped)
end
