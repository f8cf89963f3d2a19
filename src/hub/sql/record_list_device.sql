SELECT id, device, ts, meta FROM records WHERE device = ?4 AND kind = ?1 AND id < ?2
ORDER BY id DESC LIMIT ?3
