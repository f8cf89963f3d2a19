SELECT coalesce(max(version), 0) + 1 FROM dataset_versions WHERE name = ?1
