SELECT d.id, w.envelope FROM devices d JOIN desired w ON w.device = d.id
WHERE d.revoked IS NULL AND w.gen > d.seen AND w.gen = (SELECT max(gen) FROM desired WHERE device = d.id)
