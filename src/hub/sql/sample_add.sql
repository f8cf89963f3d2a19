INSERT INTO samples(sha256, size, content_type, device, ts, model, version, label, score, rank, meta)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, coalesce(?9, 0), ?10) ON CONFLICT(sha256) DO NOTHING
