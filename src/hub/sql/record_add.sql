INSERT INTO records(device, epoch, seq, ts, kind, class, meta, body, key) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT DO NOTHING
