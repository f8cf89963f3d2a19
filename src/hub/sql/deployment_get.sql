SELECT id, created, models, functions, undo_of FROM deployments WHERE id = ?1
