INSERT INTO desired(device, gen, document, envelope, issued) VALUES (?1, ?2, ?3, ?4, ?5)
