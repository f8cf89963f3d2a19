INSERT INTO streams(device, epoch) VALUES (?1, ?2) ON CONFLICT(device, epoch) DO NOTHING
