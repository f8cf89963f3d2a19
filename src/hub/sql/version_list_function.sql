SELECT v.version, v.sha256, v.size, v.format, v.created, v.metrics, v.gate, v.note,
  (SELECT count(DISTINCT d.id) FROM devices d, json_each(d.functions) m WHERE d.revoked IS NULL
     AND json_extract(m.value, '$.name') = v.name AND CAST(json_extract(m.value, '$.version') AS INTEGER) = v.version),
  v.file, v.probe
FROM versions v WHERE v.kind = 'function' AND v.name = ?1 ORDER BY v.version
