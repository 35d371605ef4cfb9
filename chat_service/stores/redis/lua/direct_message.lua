-- Check whether a sender may write to a user who is online, and publish the message to all the sockets.
-- ARGV: 1 sender or ''  2 is the recipient's own (0 or 1)  3 bypass (0 or 1)  4 signed envelope
-- Returns {0}, or {'noUser'}, {'notAllowed'}, {'noUserOnline'}.
-- include: user
if not user_exists() then return {'noUser'} end
local may_write = ARGV[3] == '1' or (ARGV[1] ~= '' and lets_write(ARGV[1]))
if ARGV[2] == '1' or not may_write then return {'notAllowed'} end
if redis.call('HLEN', KEYS[4]) == 0 then return {'noUserOnline'} end
redis.call('SPUBLISH', KEYS[1], ARGV[4])
return {0}
