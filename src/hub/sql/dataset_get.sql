SELECT sha256 FROM dataset_versions WHERE name = ?1 AND version = ?2
