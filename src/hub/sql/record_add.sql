INSERT INTO records(device, epoch, seq, ts, kind, class, meta, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT(device, epoch, seq) DO NOTHING
