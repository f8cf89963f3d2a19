SELECT version, samples FROM dataset_versions WHERE name = ?1 AND sha256 = ?2
