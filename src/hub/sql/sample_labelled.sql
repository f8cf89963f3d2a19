SELECT id, device, ts, model, version, label, score, assigned, sha256, meta, rank FROM samples
WHERE assigned IS NOT NULL AND (rank, id) > (?1, ?2) AND (?3 IS NULL OR device = ?3) ORDER BY rank, id LIMIT ?4
