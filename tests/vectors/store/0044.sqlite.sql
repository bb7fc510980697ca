BEGIN TRANSACTION;
CREATE TABLE admin_tokens (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	roles TEXT NOT NULL, 
	hashed TEXT NOT NULL, 
	created TEXT NOT NULL, 
	expires TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	revoked TEXT, repositories TEXT DEFAULT '[]' NOT NULL, agreed_by TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "admin_tokens" VALUES('t1','ci','["key-admin", "auditor"]','0000000000000000000000000000000000000000000000000000000000000000','2026-01-02T12:00:00.000000Z','2026-01-02T13:00:00.000000Z','erika',NULL,'["team/**"]','max');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0044');
CREATE TABLE approvals (
	id TEXT NOT NULL, 
	route TEXT NOT NULL, 
	body TEXT NOT NULL, 
	request_id TEXT NOT NULL, 
	created TEXT NOT NULL, 
	expires TEXT NOT NULL, 
	note TEXT NOT NULL, 
	places TEXT NOT NULL, 
	"plan" TEXT NOT NULL, 
	who TEXT NOT NULL, 
	how TEXT NOT NULL, 
	token_id TEXT NOT NULL, 
	roles TEXT NOT NULL, 
	state TEXT NOT NULL, 
	given TEXT NOT NULL, 
	decided TEXT, 
	decided_by TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "approvals" VALUES('a1','rotate_key','{"reason":"x"}','r','2026-01-02T12:00:00.000000Z','2026-01-02T13:00:00.000000Z','seen','{"profile": "release"}','["do it"]','erika','admin-token:a','a','["key-admin"]','approved','{"reason": "x"}','2026-01-02T13:00:00.000000Z','["max", "admin-token:b", "b"]');
CREATE TABLE decisions (
	id TEXT NOT NULL, 
	at TEXT NOT NULL, 
	decision TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "decisions" VALUES('d1','2026-01-02T12:00:00.000000Z','{"allowed":true,"at":"2026-01-02T12:00:00+00:00","binds_reference":false,"checks":[{"detail":"umlauts and \ud83d\udd0f too","name":"signed by release","outcome":"passed","reason":null}],"contact":"#platform-help","digest":"sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d","exception":null,"help_url":null,"id":"d1","key_revision":"k1","media_type":"application/vnd.oci.image.manifest.v1+json","mode":"enforce","outcome":"passed","policy_revision":"p1","reason":null,"reference":"latest","repository":"prod/app","signatures":[{"bound":"reg.example/prod/app","claims":{"pusher":"ann"},"fingerprint":"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","format":"cosign-simple","recorded":null}]}');
CREATE TABLE denials (
	id TEXT NOT NULL, 
	digest TEXT, 
	repositories TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	at TEXT NOT NULL, 
	until TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "denials" VALUES('n1','sha256:2f05d4b689d270cafb02285f35f44866f7dc8a2d368a3f9d1124373eeab31fb1','**','leaked ☃','erika','2026-01-02T12:00:00.000000Z','2028-06-20T12:00:00.000000Z');
INSERT INTO "denials" VALUES('n2',NULL,'old/**','old','erika','2026-01-02T12:00:00.000000Z',NULL);
CREATE TABLE exceptions (
	id TEXT NOT NULL, 
	repositories TEXT NOT NULL, 
	digest TEXT, 
	unsigned_push BOOLEAN NOT NULL, 
	reason TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	how TEXT NOT NULL, 
	opened TEXT NOT NULL, 
	until TEXT NOT NULL, 
	closed TEXT, 
	closed_by TEXT NOT NULL, 
	reviewed TEXT, 
	reviewed_by TEXT NOT NULL, 
	review TEXT NOT NULL, 
	offline BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "exceptions" VALUES('x1','prod/app','sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d',1,'outage','erika','socket','2026-01-02T12:00:00.000000Z','2026-01-02T13:00:00.000000Z',NULL,'',NULL,'','',1);
INSERT INTO "exceptions" VALUES('x2','prod/app',NULL,1,'outage','erika','socket','2026-01-02T12:00:00.000000Z','2026-01-02T13:00:00.000000Z','2026-01-02T13:00:00.000000Z','max','2026-01-02T13:00:00.000000Z','eve','fine',1);
CREATE TABLE jobs (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	who TEXT NOT NULL, 
	how TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	created TEXT NOT NULL, 
	asked TEXT NOT NULL, 
	repository TEXT NOT NULL, 
	state TEXT NOT NULL, 
	cursor TEXT NOT NULL, 
	note TEXT NOT NULL, 
	result TEXT NOT NULL, 
	not_before TEXT, 
	ended TEXT, 
	run INTEGER NOT NULL, 
	tries INTEGER NOT NULL, 
	done INTEGER NOT NULL, 
	total INTEGER, 
	cancel BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('j1','resign','erika','socket','new key','2026-01-02T12:00:00.000000Z','{"profile":"release"}','prod/app','running','after','note','{"signed":[1,2]}',NULL,NULL,2,1,3,9,0);
INSERT INTO "jobs" VALUES('j2','resign','erika','socket','new key','2026-01-02T12:00:00.000000Z','{"profile":"release"}','prod/app','done','after','note','{}','2026-01-02T12:00:00.000000Z','2026-01-02T13:00:00.000000Z',2,1,3,NULL,1);
CREATE TABLE journal (
	position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at TEXT NOT NULL, 
	last TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	who TEXT NOT NULL, 
	how TEXT NOT NULL, 
	repository TEXT NOT NULL, 
	reference TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	decision_id TEXT NOT NULL, 
	request_id TEXT NOT NULL, 
	policy_revision TEXT NOT NULL, 
	key_revision TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	count INTEGER NOT NULL, 
	tally TEXT, 
	UNIQUE (tally)
);
INSERT INTO "journal" VALUES(1,'2026-01-02T12:00:00.000000Z','2026-01-02T12:00:00.000000Z','server.started','countersign','','','','','','','','','','{"n":1,"umlauts":"\u2603"}',1,NULL);
INSERT INTO "journal" VALUES(2,'2026-01-02T12:00:00.000000Z','2026-01-02T12:00:00.000000Z','pull.denied','ann','token','prod/app','latest','sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d','','d1','r1','p1','k1','{}',2,'4b040c41c353d15882a7afcdeb7d6db3174880aa15f2f42dcdad6e8e2c891216');
INSERT INTO "journal" VALUES(4,'2026-01-02T12:00:00.000000Z','2026-01-02T12:00:00.000000Z','policy.changed','countersign','','','','','','','','','','{}',1,NULL);
INSERT INTO "journal" VALUES(5,'2026-01-02T12:00:00.000000Z','2026-01-02T12:00:00.000000Z','job.queued','countersign','','','','','','','','','','{}',1,NULL);
INSERT INTO "journal" VALUES(6,'2026-01-02T12:00:00.000000Z','2026-01-02T12:00:00.000000Z','job.queued','countersign','','','','','','','','','','{}',1,NULL);
INSERT INTO "journal" VALUES(7,'2026-01-02T12:00:00.000000Z','2026-01-02T12:00:00.000000Z','approval.asked','countersign','','','','','','','','','','{}',1,NULL);
CREATE TABLE keys (
	id INTEGER NOT NULL, 
	fingerprint TEXT NOT NULL, 
	profile TEXT NOT NULL, 
	token TEXT NOT NULL, 
	token_serial TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	label TEXT NOT NULL, 
	algorithm TEXT NOT NULL, 
	spki BLOB NOT NULL, 
	state TEXT NOT NULL, 
	since TEXT NOT NULL, 
	compromised_since TEXT, chain TEXT DEFAULT '[]' NOT NULL, activate_at TEXT, signs_until TEXT, retire_after TEXT, backup_at TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (fingerprint)
);
INSERT INTO "keys" VALUES(1,'972ba13ab550398cee694e42ade889c90a3f6db20f787aa4db14f566afd15494','release','hsm','0001','abababababababababababababababab','release-1','ecdsa-p256',X'73706B692000','trusted','2026-01-02T12:00:00.000000Z',NULL,'["6c656166", "726f6f74"]','2026-01-02T12:00:00.000000Z','2026-01-02T13:00:00.000000Z','2026-01-02T13:00:00.000000Z','2026-01-02T12:00:00.000000Z');
INSERT INTO "keys" VALUES(2,'76f75e6129fe30135bd44d80ab7cc46fdba81907758dc808f3e2517beef2b1e9','release','hsm','0001','abababababababababababababababab','release-1','ecdsa-p256',X'6C6F7374','compromised','2026-01-02T12:00:00.000000Z','2026-01-02T12:00:00.000000Z','[]','2026-01-02T12:00:00.000000Z','2026-01-02T13:00:00.000000Z','2026-01-02T13:00:00.000000Z',NULL);
CREATE TABLE leases (
	name TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	fence INTEGER NOT NULL, 
	until TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "leases" VALUES('jobs','another',1,'2026-01-02T12:01:00.000000Z');
CREATE TABLE ledger (
	id INTEGER NOT NULL, 
	repository TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	format TEXT NOT NULL, 
	bound TEXT NOT NULL, 
	stage TEXT NOT NULL, 
	message BLOB NOT NULL, 
	signature BLOB, 
	claims TEXT NOT NULL, 
	artifact TEXT, 
	at TEXT NOT NULL, timestamp BLOB, 
	PRIMARY KEY (id), 
	CONSTRAINT ledger_same_signature UNIQUE (repository, digest, fingerprint, format, bound)
);
INSERT INTO "ledger" VALUES(1,'prod/app','sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','cosign-simple','reg.example/prod/app','signed',X'6D6573736167652000FF',X'3000','{"pusher":"ann"}',NULL,'2026-01-02T12:00:00.000000Z',X'3001');
CREATE TABLE listed (
	repository TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	role TEXT NOT NULL, 
	manifest_id INTEGER NOT NULL, 
	PRIMARY KEY (repository, digest, role, manifest_id)
)
 WITHOUT ROWID

;
INSERT INTO "listed" VALUES('prod/app','sha256:4814d92093ac8a0f4a2163ab87dee509ba306a58f5888be0edcb2fcd0712028b','blob',1);
INSERT INTO "listed" VALUES('prod/app','sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d','child',1);
INSERT INTO "listed" VALUES('prod/app','sha256:7dc96f776c8423e57a2785489a3f9c43fb6e756876d6ad9a9cac4aa4e72ec193','blob',1);
CREATE TABLE manifests (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	repository TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	media_type TEXT NOT NULL, 
	size INTEGER NOT NULL, 
	children TEXT NOT NULL, 
	blobs TEXT NOT NULL, 
	subject TEXT, 
	artifact BOOLEAN, passed TEXT, 
	CONSTRAINT manifests_once UNIQUE (repository, digest)
);
INSERT INTO "manifests" VALUES(1,'prod/app','sha256:1bc04b5291c26a46d918139138b992d2de976d6851d0893b0476b85bfbdfc6e6','application/vnd.oci.image.manifest.v1+json',512,'["sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"]','["sha256:7dc96f776c8423e57a2785489a3f9c43fb6e756876d6ad9a9cac4aa4e72ec193","sha256:4814d92093ac8a0f4a2163ab87dee509ba306a58f5888be0edcb2fcd0712028b"]','sha256:a9491f4c1bf7b0cffbadcba2db8f028e4b3f2867cb59e1f3a0bc1968f3c51242',0,'2026-01-02T12:00:00.000000Z');
CREATE TABLE policy_revisions (
	number INTEGER NOT NULL, 
	hash TEXT NOT NULL, 
	parent TEXT NOT NULL, 
	body TEXT NOT NULL, 
	policies TEXT NOT NULL, 
	at TEXT NOT NULL, 
	who TEXT NOT NULL, 
	how TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "policy_revisions" VALUES(1,'7ea6bd434285793122465c67a18286a6b7b92abe4044e1854edc71998e8716dc','','policies: []  # ☃
','p1','2026-01-02T12:00:00.000000Z','erika','admin-token:a','first');
CREATE TABLE revisions (
	kind TEXT NOT NULL, 
	revision TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (kind, revision)
);
INSERT INTO "revisions" VALUES('keybook','eb7a4c35ebe9f0763d880f21aef13573c35c2031a9f60635ffcdf8c0e8e56fee','{"ours":[],"trusted":[]}');
INSERT INTO "revisions" VALUES('keybook','bda1b2d377ebdd00cae9bc65215a65797659913554d882c994d47498511f89b9','{"ours":[{"activate_at":"2026-01-02T12:00:00.000000+00:00","algorithm":"ecdsa-p256","backup_at":"2026-01-02T12:00:00.000000+00:00","chain":["6c656166","726f6f74"],"compromised_since":null,"fingerprint":"972ba13ab550398cee694e42ade889c90a3f6db20f787aa4db14f566afd15494","key_id":"abababababababababababababababab","label":"release-1","profile":"release","retire_after":"2026-01-02T13:00:00.000000+00:00","signs_until":"2026-01-02T13:00:00.000000+00:00","since":"2026-01-02T12:00:00.000000+00:00","spki":"73706b692000","state":"trusted","token":"hsm","token_serial":"0001"}],"trusted":[]}');
INSERT INTO "revisions" VALUES('keybook','a35e87740bcaadf173eb83ee35cf52371ba00812ad3a15648cd1c7eb8df531e2','{"ours":[{"activate_at":"2026-01-02T12:00:00.000000+00:00","algorithm":"ecdsa-p256","backup_at":null,"chain":[],"compromised_since":"2026-01-02T12:00:00.000000+00:00","fingerprint":"76f75e6129fe30135bd44d80ab7cc46fdba81907758dc808f3e2517beef2b1e9","key_id":"abababababababababababababababab","label":"release-1","profile":"release","retire_after":"2026-01-02T13:00:00.000000+00:00","signs_until":"2026-01-02T13:00:00.000000+00:00","since":"2026-01-02T12:00:00.000000+00:00","spki":"6c6f7374","state":"compromised","token":"hsm","token_serial":"0001"},{"activate_at":"2026-01-02T12:00:00.000000+00:00","algorithm":"ecdsa-p256","backup_at":"2026-01-02T12:00:00.000000+00:00","chain":["6c656166","726f6f74"],"compromised_since":null,"fingerprint":"972ba13ab550398cee694e42ade889c90a3f6db20f787aa4db14f566afd15494","key_id":"abababababababababababababababab","label":"release-1","profile":"release","retire_after":"2026-01-02T13:00:00.000000+00:00","signs_until":"2026-01-02T13:00:00.000000+00:00","since":"2026-01-02T12:00:00.000000+00:00","spki":"73706b692000","state":"trusted","token":"hsm","token_serial":"0001"}],"trusted":[]}');
INSERT INTO "revisions" VALUES('policy','p1','[]');
CREATE TABLE secrets (
	name TEXT NOT NULL, 
	value BLOB NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "secrets" VALUES('uploads',X'8AC81D9EAE322B2FF018FBD862D126EAF1EB12B815FC16341887D7B4B3EA3ED0');
CREATE TABLE tags (
	repository TEXT NOT NULL, 
	tag TEXT NOT NULL, 
	digest TEXT, 
	at TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	how TEXT NOT NULL, 
	moving_to TEXT, 
	holder TEXT, 
	fence INTEGER NOT NULL, 
	until TEXT, 
	PRIMARY KEY (repository, tag)
);
INSERT INTO "tags" VALUES('prod/app','v1','sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d','2026-01-02T12:00:00.000000Z','ann','password','sha256:c6c1c9a9c8543f1e4cd980064cf1625eeb61a90703b2464fff039f21682508b3',NULL,1,NULL);
CREATE TABLE unsigned_pushes (
	id INTEGER NOT NULL, 
	repository TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	tag TEXT NOT NULL, 
	exception TEXT NOT NULL, 
	who TEXT NOT NULL, 
	at TEXT NOT NULL, 
	settled TEXT, 
	tried TEXT, 
	note TEXT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT unsigned_pushes_once UNIQUE (repository, digest, tag)
);
INSERT INTO "unsigned_pushes" VALUES(1,'prod/app','sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d','v1','x1','ann','2026-01-02T12:00:00.000000Z',NULL,'2026-01-02T13:00:00.000000Z','upstream answered 500');
INSERT INTO "unsigned_pushes" VALUES(2,'prod/other','sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d','','x1','ann','2026-01-02T13:00:00.000000Z','2026-01-02T13:00:00.000000Z','2026-01-02T13:00:00.000000Z','');
CREATE TABLE versions (
	name TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "versions" VALUES('keybook',2);
INSERT INTO "versions" VALUES('interventions',4);
INSERT INTO "versions" VALUES('owed',1);
INSERT INTO "versions" VALUES('policy',1);
CREATE INDEX listed_by_manifest ON listed (manifest_id);
CREATE INDEX journal_by_kind ON journal (kind, position);
CREATE INDEX journal_by_repository ON journal (repository, position);
CREATE INDEX journal_by_digest ON journal (digest, position);
CREATE INDEX ledger_by_bound ON ledger (repository, bound);
CREATE INDEX jobs_by_state ON jobs (state, created);
CREATE INDEX manifests_passed ON manifests (repository, passed) WHERE passed IS NOT NULL;
CREATE INDEX tags_by_digest ON tags (repository, digest);
CREATE INDEX tags_moving ON tags (moving_to) WHERE moving_to IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('manifests',1);
INSERT INTO "sqlite_sequence" VALUES('journal',7);
COMMIT;
