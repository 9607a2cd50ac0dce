-- Drops a portion of the records that are too old, or else of the least severe and oldest of too many.
--
-- ARGV[3]  the time before which a record is too old, in seconds
-- ARGV[4]  the largest size of all, in bytes
-- ARGV[5]  the size of the portion
-- ARGV[6]  the time before which settings were used last that are forgotten, in microseconds; '' keeps all
local before, excess = tonumber(ARGV[3]), tonumber(call('HGET', head, 'bytes') or 0) - tonumber(ARGV[4])
local portion, dropped, waiting, size = tonumber(ARGV[5]), {}, 0, 0

local function drop(id, level, line, reason)
  take(id, level, line[8])
  count_ended(line[8], reason, line[3], line[7])
  waiting, size = waiting - line[7], size - line[5]
  table.insert(dropped, id)
end

local function each_of(level, visit)
  for _, id in ipairs(call('ZRANGE', level_key(level), 0, portion - #dropped - 1)) do
    local line = parse(call('HGET', records, id) or '')
    if line and not visit(id, line) then return end
  end
end

for level = 0, HIGHEST do
  each_of(level, function(id, line)
    if line[4] >= before then return false end
    drop(id, level, line, 'too_old')
    return #dropped < portion
  end)
end
if #dropped == 0 and excess > 0 then
  for level = 0, HIGHEST do
    if excess <= 0 or #dropped >= portion then break end
    each_of(level, function(id, line)
      if excess <= 0 or #dropped >= portion then return false end
      drop(id, level, line, 'queue_full')
      excess = excess - line[5]
      return true
    end)
  end
end
if ARGV[6] ~= '' then
  local unused = call('ZRANGEBYSCORE', used, '-inf', '(' .. ARGV[6])
  for _, digest in ipairs(unused) do
    call('HDEL', settings, digest)
    call('ZREM', used, digest)
  end
end
if #dropped == 0 then return {identity, changes(), dropped} end
call('HINCRBY', head, 'settled', 1)
return {identity, change(waiting, size), dropped}
