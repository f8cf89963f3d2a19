SELECT d.id, d.online, d.last_seen, d.gen, (SELECT max(gen) FROM desired w WHERE w.device = d.id), d.state,
  d.reason, d.agent, d.cpu, d.models, d.functions, d.last_label, d.last_score, d.last_ts,
  (SELECT sum(stored) FROM streams s WHERE s.device = d.id), d.picture_ts, d.swap_ms,
  (SELECT meta FROM records r WHERE r.device = d.id AND r.kind = 4 ORDER BY r.id DESC LIMIT 1),
  c.serial, c.issued, c.expires, d.rotate_asked
FROM devices d LEFT JOIN certificates c ON c.serial = (SELECT serial FROM certificates n WHERE n.device = d.id
  AND n.revoked IS NULL AND n.proven IS NOT NULL ORDER BY n.rowid DESC LIMIT 1)
WHERE d.revoked IS NULL AND d.id > ?1 ORDER BY d.id LIMIT ?2
