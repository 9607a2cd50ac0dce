-- Gives the lease back.
--
-- ARGV[3]  the lease of the caller
if call('GET', sender) == ARGV[3] then call('DEL', sender) end
return {identity, changes()}
