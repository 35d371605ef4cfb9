-- Publish a direct message to all sockets of an online user if the user accepts messages from the sender.
-- KEYS: of lib/user.lua, then, if the sender is a client, 8 senders_ban_key (string): see lib/actor_ban.lua
-- ARGV: 1 sender or ''  2 to_self (0 or 1)  3 bypass (0 or 1)  4 envelope (signed)
-- Returns {0}, or {'banned', the ban}, {'noUser'}, {'notAllowed'}, {'noUserOnline'}.
-- include: bus
-- include: clock
-- include: user
local sender, to_self, bypass, envelope = ARGV[1], ARGV[2] == '1', ARGV[3] == '1', ARGV[4]
local senders_ban_key = KEYS[USER_KEYS + 1]

local ban = senders_ban_key and redis.call('GET', senders_ban_key)
if ban then return {'banned', ban} end
if not user_exists() then return {'noUser'} end
local may_write = bypass or (sender ~= '' and accepts_messages_from(sender))
if to_self or not may_write then return {'notAllowed'} end
if redis.call('HLEN', sockets_key) == 0 then return {'noUserOnline'} end
notify(user_key, envelope)
return {0}
