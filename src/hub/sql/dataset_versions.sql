SELECT version, sha256, samples, classes, created FROM dataset_versions WHERE name = ?1
ORDER BY version
