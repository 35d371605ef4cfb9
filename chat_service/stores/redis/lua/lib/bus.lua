-- Publishing from a script. The layout of an envelope is described in envelopes.py.
-- A script that includes this is made into a function with the parameters inner_key and outer_key, the keys of the HMAC
-- (both '' without a secret). The last line of its text calls it with them: see scripts.py.

local function raw_sha1(data)
  return (redis.sha1hex(data):gsub('..', function(digits) return string.char(tonumber(digits, 16)) end))
end

-- Sign a payload and publish it.
local function send(channel, payload)
  local signature = ''
  if inner_key ~= '' then
    signature = raw_sha1(outer_key .. raw_sha1(inner_key .. channel .. '\0' .. payload))
  end
  redis.call('SPUBLISH', channel, '\1' .. signature .. payload)
end

-- Publish an envelope: its fields, and a body that is already packed.
local function publish(channel, fields, body)
  send(channel, cmsgpack.pack(fields) .. body)
end
