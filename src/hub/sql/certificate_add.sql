INSERT INTO certificates(serial, device, pem, issued) VALUES (?1, ?2, ?3, ?4)
