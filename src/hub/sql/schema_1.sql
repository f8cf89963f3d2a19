-- Version 1 of the store. Times are milliseconds since 1970 UTC; digests are lower-case hexadecimal.
CREATE TABLE schema_version(version INTEGER PRIMARY KEY, applied INTEGER NOT NULL) STRICT;
CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE sessions(hash TEXT PRIMARY KEY, expires INTEGER NOT NULL) STRICT;
CREATE TABLE audit(
  id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
  subject TEXT NOT NULL, detail TEXT) STRICT;

-- online is what the last message said; gen runs, seen was received, the newest row of `desired` is wanted
CREATE TABLE devices(
  id TEXT PRIMARY KEY, created INTEGER NOT NULL, revoked INTEGER, online INTEGER NOT NULL DEFAULT 0, last_seen INTEGER,
  gen INTEGER NOT NULL DEFAULT 0, seen INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'IDLE', reason TEXT,
  agent TEXT, cpu TEXT, models TEXT NOT NULL DEFAULT '[]', functions TEXT NOT NULL DEFAULT '[]', swap_ms REAL,
  last_label TEXT, last_score REAL, last_ts INTEGER, picture TEXT, picture_ts INTEGER) STRICT;
CREATE TABLE enroll_tokens(
  hash TEXT PRIMARY KEY, device TEXT, created INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER, request TEXT,
  serial TEXT) STRICT;
CREATE TABLE certificates(
  serial TEXT PRIMARY KEY, device TEXT NOT NULL REFERENCES devices(id), pem TEXT NOT NULL, issued INTEGER NOT NULL,
  revoked INTEGER) STRICT;
CREATE INDEX certificates_by_device ON certificates(device);

CREATE TABLE blobs(sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, created INTEGER NOT NULL) STRICT;
CREATE TABLE versions(
  kind TEXT NOT NULL CHECK (kind IN ('model', 'function')), name TEXT NOT NULL, version INTEGER NOT NULL,
  sha256 TEXT NOT NULL REFERENCES blobs(sha256), size INTEGER NOT NULL, file TEXT NOT NULL, format TEXT NOT NULL,
  created INTEGER NOT NULL, metrics TEXT, gate TEXT, note TEXT, probe TEXT REFERENCES blobs(sha256), run TEXT,
  PRIMARY KEY (kind, name, version), UNIQUE (kind, name, sha256)) STRICT;

CREATE TABLE deployments(
  id INTEGER PRIMARY KEY AUTOINCREMENT, created INTEGER NOT NULL, models TEXT NOT NULL, functions TEXT NOT NULL,
  undo_of INTEGER REFERENCES deployments(id)) STRICT;
CREATE TABLE deployment_devices(
  deployment INTEGER NOT NULL REFERENCES deployments(id), device TEXT NOT NULL REFERENCES devices(id),
  gen INTEGER NOT NULL, before_gen INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'PENDING', reason TEXT,
  changed INTEGER NOT NULL, PRIMARY KEY (deployment, device)) STRICT;
CREATE INDEX deployment_devices_by_device ON deployment_devices(device, gen);
CREATE TABLE desired(
  device TEXT NOT NULL REFERENCES devices(id), gen INTEGER NOT NULL, document TEXT NOT NULL, envelope TEXT NOT NULL,
  issued INTEGER NOT NULL, PRIMARY KEY (device, gen)) STRICT;

-- acked: every record of the epoch up to it is here; highest: the greatest that is here
CREATE TABLE streams(
  device TEXT NOT NULL, epoch TEXT NOT NULL, acked INTEGER NOT NULL DEFAULT 0, highest INTEGER NOT NULL DEFAULT 0,
  stored INTEGER NOT NULL DEFAULT 0, duplicates INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (device, epoch)) STRICT;
CREATE TABLE records(
  id INTEGER PRIMARY KEY, device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, ts INTEGER NOT NULL,
  kind INTEGER NOT NULL, class INTEGER NOT NULL, meta TEXT NOT NULL, body BLOB, UNIQUE (device, epoch, seq)) STRICT;
CREATE INDEX records_by_kind ON records(kind, id);
CREATE INDEX records_by_device ON records(device, kind, id);

-- rank: how sure the model was (0 when nothing looked at it); assigned: the current label
CREATE TABLE samples(
  id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL UNIQUE REFERENCES blobs(sha256), size INTEGER NOT NULL,
  content_type TEXT NOT NULL, device TEXT, ts INTEGER NOT NULL, model TEXT, version TEXT, label TEXT, score REAL,
  rank REAL NOT NULL, meta TEXT NOT NULL, assigned TEXT) STRICT;
CREATE INDEX samples_unlabelled ON samples(rank, id) WHERE assigned IS NULL;
CREATE INDEX samples_labelled ON samples(rank, id) WHERE assigned IS NOT NULL;
CREATE TABLE labels(
  id INTEGER PRIMARY KEY AUTOINCREMENT, sample INTEGER NOT NULL REFERENCES samples(id), label TEXT, by TEXT NOT NULL,
  created INTEGER NOT NULL) STRICT;
CREATE INDEX labels_by_sample ON labels(sample, id);
CREATE TABLE dataset_versions(
  name TEXT NOT NULL, version INTEGER NOT NULL, sha256 TEXT NOT NULL REFERENCES blobs(sha256), samples INTEGER NOT NULL,
  classes TEXT NOT NULL, created INTEGER NOT NULL, PRIMARY KEY (name, version), UNIQUE (name, sha256)) STRICT;
