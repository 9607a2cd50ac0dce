-- Asks the sender to hurry.
--
-- ARGV[3]  until when
-- ARGV[4]  JSON: the host and the process id of the writer
local wish = tonumber(call('HGET', head, 'wish') or 0)
if tonumber(ARGV[3]) > wish then call('HSET', head, 'wish', ARGV[3]) end
call('ZADD', beats, text(time()), ARGV[4])
call('EXPIRE', beats, 3600)
return {identity, change(0, 0)}
