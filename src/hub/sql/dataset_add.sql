INSERT INTO dataset_versions(name, version, sha256, samples, classes, created)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
