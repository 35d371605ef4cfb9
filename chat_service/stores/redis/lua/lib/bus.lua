-- Publishing from a script. The layout of an envelope is described in envelopes.py.
-- A script that includes this is made into a function with the parameters inner_key and outer_key, the keys of the HMAC,
-- and has_stamps (all '' without a secret). The last line of its text calls it with them: see scripts.py.

local function raw_sha1(data)
  return (redis.sha1hex(data):gsub('..', function(digits) return string.char(tonumber(digits, 16)) end))
end

-- A payload with version and signature.
local function sign(channel, payload)
  local signature = ''
  if inner_key ~= '' then
    signature = raw_sha1(outer_key .. raw_sha1(inner_key .. channel .. '\0' .. payload))
  end
  return '\1' .. signature .. payload
end

-- Publish an event, which the room numbers.
local function send(channel, payload)
  redis.call('SPUBLISH', channel, sign(channel, payload))
end

local last_stamp

-- Publish anything else, an envelope that is signed. If stamps are used, it gets one: the time of this node in us, and 1 us
-- more for each further one of the script. Publishing takes longer, so the next script has later ones.
local function notify(channel, envelope)
  if has_stamps ~= '' then
    if last_stamp then
      last_stamp = last_stamp + 1
    else
      local time = redis.call('TIME')
      last_stamp = time[1] * 1000000 + time[2]
    end
    local stamp = string.format('%016.0f', last_stamp)
    local seal = redis.sha1hex(outer_key .. redis.sha1hex(inner_key .. '\2' .. stamp .. envelope:sub(2, 21)))
    envelope = '\2' .. seal .. stamp .. envelope:sub(22)
  end
  redis.call('SPUBLISH', channel, envelope)
end
