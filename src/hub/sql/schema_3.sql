-- Version 3: certificates end and are renewed. proven: a device has connected with it; request: digest of what asked for it;
-- rotate_asked: an operator wants a new certificate, whatever the old one's age
ALTER TABLE certificates ADD COLUMN expires INTEGER NOT NULL DEFAULT 0;
ALTER TABLE certificates ADD COLUMN proven INTEGER;
ALTER TABLE certificates ADD COLUMN request TEXT;
UPDATE certificates SET expires = issued + 157680000000, proven = issued;
ALTER TABLE devices ADD COLUMN rotate_asked INTEGER;
