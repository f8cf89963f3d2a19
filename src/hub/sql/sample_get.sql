SELECT id, device, ts, model, version, label, score, assigned, sha256, meta, rank, content_type, size
FROM samples WHERE id = ?1
