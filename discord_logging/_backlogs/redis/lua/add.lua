-- Stores the records of a writer whose numbers are new, and counts its losses.
--
-- ARGV[3..5]  the name, host and process id of the writer
-- ARGV[6]     JSON: the host and the process id
-- ARGV[7]     JSON: records (each its number, level, size, count, tries), last, covers, dropped, settings (digests)
-- ARGV[8..]   the values of the records, then the settings
local writer, batch = ARGV[3], cjson.decode(ARGV[7])
local now, numbers = time(), load_numbers(writer)
local counts_losses = batch.last > 0 and not knows(numbers, batch.last)
local position = math.max(tonumber(call('HGET', head, 'position') or 0), now)
local waiting, size = 0, 0
local values, numbered, levels, tried_ids = {}, {}, {}, {}
for i, each in ipairs(batch.records) do
  local number, level, bytes, count, tried = unpack(each)
  if learn(numbers, number) then
    position = position + 1
    local id = text(position) .. ':' .. text(number)
    values[#values + 1], values[#values + 2] = id, ARGV[7 + i]
    numbered[#numbered + 1], numbered[#numbered + 2] = text(number), id
    local positions = levels[level] or {}
    levels[level], positions[#positions + 1], positions[#positions + 2] = positions, text(position), id
    if tried > 0 then tried_ids[#tried_ids + 1], tried_ids[#tried_ids + 2] = id, tried end
    waiting, size = waiting + count, size + bytes
  end
end
call_many('HSET', records, values)
call_many('ZADD', waiting_key(writer), numbered)
call_many('HSET', tries, tried_ids)
for level, positions in pairs(levels) do call_many('ZADD', level_key(level), positions) end
for _, number in ipairs(batch.covers) do learn(numbers, number) end
if batch.last > 0 then learn(numbers, batch.last) end
call('HSET', head, 'position', text(position))
call('HSET', writer_key(writer), 'host', ARGV[4], 'pid', ARGV[5])
save_numbers(writer, numbers)
call('ZADD', beats, text(now), ARGV[6])
call('EXPIRE', beats, 3600)
for i, digest in ipairs(batch.settings) do
  call('HSET', settings, digest, ARGV[7 + #batch.records + i])
  call('ZADD', used, text(now), digest)
end
call('EXPIRE', settings, LONG)
call('EXPIRE', used, LONG)
if counts_losses then
  for _, each in ipairs(batch.dropped) do lose(writer, each[1], each[2], each[3]) end
end
return {identity, change(waiting, size), text(numbers.last)}
