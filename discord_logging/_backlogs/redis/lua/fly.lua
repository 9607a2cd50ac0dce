-- Notes that records are about to be sent, or that they wait again.
--
-- ARGV[3]  the lease of the caller, or ''
-- ARGV[4]  the time of the lease, in milliseconds
-- ARGV[5]  the state
-- ARGV[6]  how many tries are added, or, if it is negative, taken back
-- ARGV[7]  the least number of tries that is left
-- ARGV[8]  JSON: the ids of the records
local step, least = tonumber(ARGV[6]), tonumber(ARGV[7])
if ARGV[3] ~= '' then
  if call('GET', sender) == ARGV[3] then
    call('PEXPIRE', sender, ARGV[4])
  elseif step > 0 then
    return {identity, changes(), 0}
  end
end
for _, id in ipairs(cjson.decode(ARGV[8])) do
  if call('HEXISTS', records, id) == 1 then
    local tried = tonumber(call('HGET', tries, id) or 0) + step
    if step < 0 then tried = math.max(least, math.min(tried, 1)) end
    if tried > 0 then call('HSET', tries, id, tried) else call('HDEL', tries, id) end
  end
end
call('HSET', head, 'state', ARGV[5])
return {identity, change(0, 0), 1}
