-- Gives the data another identity, since they lack something that was acknowledged.
--
-- ARGV[3]  the identity that they had
if identity == ARGV[3] then
  identity = ARGV[1]
  call('HSET', head, 'id', identity)
end
return {identity, changes()}
