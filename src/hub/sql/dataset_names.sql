SELECT DISTINCT name FROM dataset_versions WHERE name > ?1 ORDER BY name LIMIT ?2
