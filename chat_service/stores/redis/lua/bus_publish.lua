-- Publish an envelope with a stamp.
-- KEYS: 1 channel
-- ARGV: 1 envelope (signed)
-- Returns {0}.
-- include: bus
local channel, envelope = KEYS[1], ARGV[1]

notify(channel, envelope)
return {0}
