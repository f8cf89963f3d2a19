INSERT INTO labels(sample, label, by, created) VALUES (?1, ?2, ?3, ?4)
