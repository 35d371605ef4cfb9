-- Publishing from a script. The layout of an envelope is described in envelopes.py.
-- ARGV of every script that includes this: 1 inner_key  2 outer_key (HMAC keys, both '' without a secret)

local inner_key, outer_key = ARGV[1], ARGV[2]

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
