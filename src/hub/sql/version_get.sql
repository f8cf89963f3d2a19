SELECT v.sha256, v.size, v.file, v.probe, b.size, v.run FROM versions v LEFT JOIN blobs b ON b.sha256 = v.probe
WHERE v.kind = ?1 AND v.name = ?2 AND v.version = ?3
