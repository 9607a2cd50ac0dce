-- The beginning of every script. A script is one transaction on the records of one webhook.
--
-- KEYS[1]  dl1:{webhook}:head, from which the names of all other keys come; they are in the same slot of a cluster
-- KEYS[2]  a key that never exists, see `connection`
-- ARGV[1]  an identity for the data, if they are new
-- ARGV[2]  the identity that the caller knows, or '' if it works with any
--
-- The result begins with the identity of the data and the number of their changes.
local call, head = redis.call, KEYS[1]
local prefix = head:sub(1, -5)
local records, sender = prefix .. 'records', prefix .. 'sender'

local identity = call('HGET', head, 'id')
if not identity then
  identity = ARGV[1]
  call('HSET', head, 'id', identity)
  -- Records are left if the head was evicted.
  local left = call('HLEN', records)
  if left > 0 then call('HSET', head, 'waiting', left) end
end
if ARGV[2] ~= '' and ARGV[2] ~= identity then return {identity, 0, false} end

local function changes() return tonumber(call('HGET', head, 'changes') or 0) end
