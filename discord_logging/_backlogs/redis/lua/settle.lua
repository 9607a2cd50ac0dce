-- Removes records that are still there, and counts them.
--
-- ARGV[3]  the reason of their loss, or '' if they are delivered
-- ARGV[4]  '1' if there is a state to save
-- ARGV[5]  the state
-- ARGV[6]  the lease of the caller, or ''
-- ARGV[7]  the time of a lease without a flight, in milliseconds
-- ARGV[8]  '1' if the data may never have had the records: those are counted, too
-- ARGV[9]  JSON: the records (each its id, number, level, size, count, writer, name of the level)
local reason, anew = ARGV[3], ARGV[8] == '1'
local waiting, size, known = 0, 0, {}
for _, row in ipairs(cjson.decode(ARGV[9])) do
  local id, number, level, bytes, count, writer, name = unpack(row)
  local is_gone = take(id, level, writer)
  if not is_gone then
    -- It may have been stored again elsewhere.
    local found = call('ZRANGEBYSCORE', waiting_key(writer), text(number), text(number))[1]
    if found then
      is_gone = take(found, level, writer)
    elseif anew then
      known[writer] = known[writer] or load_numbers(writer)
      if learn(known[writer], number) then count_ended(writer, reason, name, count) end
    end
  end
  if is_gone then
    waiting, size = waiting - count, size - bytes
    count_ended(writer, reason, name, count)
  end
end
for writer, numbers in pairs(known) do save_numbers(writer, numbers) end
if ARGV[4] == '1' then call('HSET', head, 'state', ARGV[5]) end
if ARGV[6] ~= '' and call('GET', sender) == ARGV[6] then call('PEXPIRE', sender, ARGV[7]) end
local settled = call('HINCRBY', head, 'settled', 1)
return {identity, change(waiting, size), settled}
