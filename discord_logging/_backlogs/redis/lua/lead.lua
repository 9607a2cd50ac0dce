-- Takes or renews the lease of the process that sends.
--
-- ARGV[3]  the lease of the caller
-- ARGV[4]  the lease of a process that has ended, or ''
-- ARGV[5]  the time of the lease, in milliseconds
local found = call('GET', sender)
if found == ARGV[3] then
  -- A flight may have made it longer.
  if call('PTTL', sender) < tonumber(ARGV[5]) then call('PEXPIRE', sender, ARGV[5]) end
elseif not found or found == ARGV[4] then
  call('SET', sender, ARGV[3], 'PX', ARGV[5])
else
  return {identity, changes(), 0}
end
return {identity, changes(), 1}
