-- Version 4: the collector of blobs. collected is its journal: a row stands before the file goes, with an outcome after.
-- outcome: 'removed', or 'back' when the same bytes had been pushed again meanwhile
CREATE TABLE collected(
  id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL, size INTEGER NOT NULL, created INTEGER NOT NULL,
  why TEXT NOT NULL, ts INTEGER NOT NULL, outcome TEXT) STRICT;
CREATE INDEX collected_open ON collected(id) WHERE outcome IS NULL;
-- Every digest that something refers to: versions and their probes, samples, frozen sets, last pictures, every document that was
-- ever signed (a deployment can be undone to it, a device may still fetch it), and what devices say they run.
CREATE VIEW blobs_used(sha256) AS
  SELECT sha256 FROM versions
  UNION ALL SELECT probe FROM versions WHERE probe IS NOT NULL
  UNION ALL SELECT sha256 FROM samples
  UNION ALL SELECT sha256 FROM dataset_versions
  UNION ALL SELECT picture FROM devices WHERE picture IS NOT NULL
  UNION ALL SELECT t.value FROM desired d, json_tree(d.document) t WHERE t.key = 'sha256' AND t.type = 'text'
  UNION ALL SELECT t.value FROM devices d, json_tree(d.models) t WHERE t.key = 'sha256' AND t.type = 'text'
  UNION ALL SELECT t.value FROM devices d, json_tree(d.functions) t WHERE t.key = 'sha256' AND t.type = 'text';
