-- Returns the facts that a process looks for several times a second.
--
-- ARGV[3]  the name of the writer, or ''
local found, now = call('HMGET', head, 'settled', 'wish'), call('TIME')
local last = ARGV[3] ~= '' and call('HGET', prefix .. 'writer:' .. ARGV[3], 'last') or '0'
local seconds = now[1] .. '.' .. string.format('%06d', now[2])
return {identity, changes(), found[1] or '0', last, found[2] or '', call('GET', sender) or '', seconds}
