INSERT INTO schema_version(version, applied) VALUES (?1, ?2)
