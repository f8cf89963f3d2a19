INSERT INTO deployments(created, models, functions, undo_of) VALUES (?1, ?2, ?3, nullif(?4, 0))
