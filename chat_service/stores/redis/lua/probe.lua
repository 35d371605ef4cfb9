-- Try every command that the scripts use, on keys and a channel reserved for this, and remove the keys again.
-- KEYS: 1 hash  2 set  3 sorted (set)  4 list  5 text (string)
-- ARGV: 1 channel
-- Returns name and error text of each command that Redis refused: the user may not run it, or may not run it on
-- these keys or this channel.
local hash, set, sorted, list, text = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local channel = ARGV[1]

local refused = {}

local function try(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then
    local why = answer.err
    if why:find('ACL failure') or why:find('user executing the script') or why:find('NOPERM') or why:lower():find('unknown') then
      refused[#refused + 1] = ...
      refused[#refused + 1] = why
    end
  end
end

try('HSET', hash, 'f', '1')
try('HSETNX', hash, 'f', '1')
try('EXISTS', hash)
try('HEXISTS', hash, 'f')
try('HGET', hash, 'f')
try('HMGET', hash, 'f')
try('HGETALL', hash)
try('HKEYS', hash)
try('HRANDFIELD', hash)
try('HSCAN', hash, 0)
try('HVALS', hash)
try('HLEN', hash)
try('HINCRBY', hash, 'n', 1)
try('RENAME', hash, hash)
try('HDEL', hash, 'f')
try('EXPIRE', hash, 1)
try('PERSIST', hash)
try('PEXPIREAT', hash, 1, 'NX')
try('SADD', set, 'm')
try('SCARD', set)
try('SISMEMBER', set, 'm')
try('SMISMEMBER', set, 'm')
try('SMEMBERS', set)
try('SREM', set, 'm')
try('ZADD', sorted, 1, 'm')
try('ZCARD', sorted)
try('ZSCORE', sorted, 'm')
try('ZRANGE', sorted, 0, -1)
try('ZREM', sorted, 'm')
try('ZPOPMIN', sorted, 1)
try('ZINTERCARD', 2, sorted, set)
try('LPUSH', list, 'e')
try('LSET', list, 0, 'e')
try('LLEN', list)
try('LRANGE', list, 0, -1)
try('LTRIM', list, 0, 0)
try('LINDEX', list, 0)
try('RPUSH', list, 'e')
try('RPOP', list)
try('EXPIRE', list, 1)
try('TIME')
try('SET', text, 't', 'PX', 1000)
try('GET', text)
try('TIME')
try('UNLINK', hash, set, sorted, list, text)
try('SPUBLISH', channel, '')
return refused
