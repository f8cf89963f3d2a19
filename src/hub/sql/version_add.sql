INSERT INTO versions(kind, name, version, sha256, size, file, format, created, metrics, gate, note, probe, run)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
