-- Stores rows again where they were.
--
-- ARGV[3]    JSON: the rows (each its position, number, level, size, count, tries, writer, host, process id)
-- ARGV[4]    JSON: the digests of the settings
-- ARGV[5]    the lease of the caller, or ''
-- ARGV[6..]  the values of the rows, then the settings
local rows, digests = cjson.decode(ARGV[3]), cjson.decode(ARGV[4])
local known, waiting, size = {}, 0, 0
-- Another process that leads may have read what it finds where it is.
local holder = call('GET', sender)
local may_move = not holder or holder == ARGV[5]
local are_evicted = call('HGET', head, 'evicted') == identity
local last = tonumber(call('HGET', head, 'position') or 0)
for i, row in ipairs(rows) do
  local position, number, level, bytes, count, tried, writer = unpack(row)
  local id = text(position) .. ':' .. text(number)
  known[writer] = known[writer] or load_numbers(writer)
  local found = call('ZRANGEBYSCORE', waiting_key(writer), text(number), text(number))[1]
  if found and are_evicted and call('HEXISTS', records, found) == 0 then
    call('ZREM', waiting_key(writer), found)
    found = nil
  end
  -- A record whose number is known, and that is not there, was settled by another process.
  local is_missing = not found and (are_evicted or learn(known[writer], number))
  if is_missing or (found and found ~= id and may_move) then
    -- Its writer may have added it again a moment ago, and nobody has read it there.
    if found then
      take(found, level, writer)
    else
      waiting, size = waiting + count, size + bytes
    end
    put(id, position, number, level, writer, ARGV[5 + i])
    if tried > 0 then call('HSET', tries, id, tried) end
    call('HSET', writer_key(writer), 'host', row[8], 'pid', row[9])
    last = math.max(last, position)
  end
end
for writer, numbers in pairs(known) do save_numbers(writer, numbers) end
call('HSET', head, 'position', text(last))
for i, digest in ipairs(digests) do
  call('HSET', settings, digest, ARGV[5 + #rows + i])
  call('ZADD', used, text(time()), digest)
end
return {identity, change(waiting, size)}
