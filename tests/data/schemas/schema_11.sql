PRAGMA application_id = 1145525076;
PRAGMA user_version = 11;
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0011');
CREATE TABLE announcements (
	id INTEGER NOT NULL, 
	list_id VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	paper_id VARCHAR NOT NULL, 
	announce_type VARCHAR NOT NULL, 
	version INTEGER DEFAULT 0 NOT NULL, 
	announced_on DATE, 
	paper TEXT NOT NULL, 
	first_seen_at VARCHAR(32) NOT NULL, 
	edition_id INTEGER, 
	CONSTRAINT pk_announcements PRIMARY KEY (id), 
	CONSTRAINT fk_announcements_edition_id FOREIGN KEY(edition_id) REFERENCES editions (id), 
	CONSTRAINT uq_announcements_list_id_source_paper_id_announce_type_version UNIQUE (list_id, source, paper_id, announce_type, version)
);
INSERT INTO "announcements" VALUES(1,'lab','arxiv','arxiv:2606.90001','new',1,'2026-06-08','{"abstract":"We invent paper 1. It generates video by diffusion.","authors":["Ada Example"],"categories":["cs.CV"],"id":"arxiv:2606.90001","primary_category":"cs.CV","title":"Invented paper number 1","version":1}','2026-06-08T07:00:00.000000+00:00',1);
INSERT INTO "announcements" VALUES(2,'lab','arxiv','arxiv:2606.90002','new',1,NULL,'{"abstract":"We invent paper 2. It generates video by diffusion.","authors":["Ada Example"],"categories":["cs.CV"],"id":"arxiv:2606.90002","primary_category":"cs.CV","title":"Invented paper number 2","version":1}','2026-06-08T07:05:00.000000+00:00',NULL);
CREATE TABLE bounces (
	delivery_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	enhanced_code VARCHAR NOT NULL, 
	diagnostic TEXT NOT NULL, 
	recorded_at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_bounces PRIMARY KEY (delivery_id, kind), 
	CONSTRAINT fk_bounces_delivery_id FOREIGN KEY(delivery_id) REFERENCES deliveries (id)
);
INSERT INTO "bounces" VALUES(1,'soft','4.2.2','mailbox full','2026-06-08T07:05:00.000000+00:00');
CREATE TABLE deliveries (
	id INTEGER NOT NULL, 
	edition_id INTEGER NOT NULL, 
	subscriber_id INTEGER NOT NULL, 
	address VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	message_id VARCHAR NOT NULL, 
	picks TEXT NOT NULL, 
	queued_at VARCHAR(32) NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	next_attempt_at VARCHAR(32), 
	enhanced_code VARCHAR DEFAULT '' NOT NULL, 
	reply TEXT DEFAULT '' NOT NULL, 
	settled_at VARCHAR(32), 
	owner VARCHAR, 
	lease_until VARCHAR(32), 
	token INTEGER DEFAULT 0 NOT NULL, beside TEXT DEFAULT '{}' NOT NULL, relay VARCHAR DEFAULT '' NOT NULL, 
	CONSTRAINT pk_deliveries PRIMARY KEY (id), 
	CONSTRAINT fk_deliveries_edition_id FOREIGN KEY(edition_id) REFERENCES editions (id), 
	CONSTRAINT fk_deliveries_subscriber_id FOREIGN KEY(subscriber_id) REFERENCES subscribers (id), 
	CONSTRAINT uq_deliveries_edition_id_subscriber_id UNIQUE (edition_id, subscriber_id)
);
INSERT INTO "deliveries" VALUES(1,1,1,'reader1@example.org','sent','<1@example.org>','[{"paper_id":"arxiv:2606.90001","reasons":[{"kind":"topic","text":"video: diffusion","weight":0.5}],"relevance":0.5,"score":0.5,"trend":0.0}]','2026-06-08T07:00:00.000000+00:00',1,NULL,'','250 2.0.0 queued','2026-06-08T07:05:00.000000+00:00',NULL,NULL,0,'{}','smtp.example.org');
INSERT INTO "deliveries" VALUES(2,1,2,'reader2@example.org','deferred','<2@example.org>','[{"paper_id":"arxiv:2606.90001","reasons":[{"kind":"topic","text":"video: diffusion","weight":0.5}],"relevance":0.5,"score":0.5,"trend":0.0}]','2026-06-08T07:00:00.000000+00:00',1,'2026-06-08T07:05:00.000000+00:00','','451 4.3.0 try later',NULL,NULL,NULL,0,'{}','smtp.example.org');
INSERT INTO "deliveries" VALUES(3,1,3,'reader3@example.org','unknown','<3@example.org>','[{"paper_id":"arxiv:2606.90001","reasons":[{"kind":"topic","text":"video: diffusion","weight":0.5}],"relevance":0.5,"score":0.5,"trend":0.0}]','2026-06-08T07:00:00.000000+00:00',1,NULL,'','connection lost after the final dot','2026-06-08T07:05:00.000000+00:00',NULL,NULL,0,'{}','smtp.example.org');
CREATE TABLE edition_papers (
	edition_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	paper_id VARCHAR NOT NULL, 
	candidate TEXT NOT NULL, 
	CONSTRAINT pk_edition_papers PRIMARY KEY (edition_id, position), 
	CONSTRAINT fk_edition_papers_edition_id FOREIGN KEY(edition_id) REFERENCES editions (id), 
	CONSTRAINT uq_edition_papers_edition_id_paper_id UNIQUE (edition_id, paper_id)
);
INSERT INTO "edition_papers" VALUES(1,0,'arxiv:2606.90001','{"paper":{"abstract":"We invent paper 1. It generates video by diffusion.","authors":["Ada Example"],"categories":["cs.CV"],"id":"arxiv:2606.90001","primary_category":"cs.CV","title":"Invented paper number 1","version":1},"sightings":[{"announce_type":"new","announced_on":"2026-06-08","source":"arxiv"}]}');
CREATE TABLE "editions" (
	id INTEGER NOT NULL, 
	list_id VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	due_on DATE NOT NULL, 
	since VARCHAR(32), 
	cutoff VARCHAR(32) NOT NULL, 
	sources TEXT NOT NULL, 
	recipients INTEGER, 
	recipients_frozen_at VARCHAR(32), 
	finished_at VARCHAR(32), 
	frequency VARCHAR DEFAULT '' NOT NULL, 
	CONSTRAINT pk_editions PRIMARY KEY (id), 
	CONSTRAINT uq_editions_list_id_number UNIQUE (list_id, number), 
	CONSTRAINT uq_editions_list_id_frequency_due_on UNIQUE (list_id, frequency, due_on)
);
INSERT INTO "editions" VALUES(1,'lab',1,'2026-06-08',NULL,'2026-06-08T07:00:00.000000+00:00','[{"expected":4,"fresh":1,"received":3,"source":"arxiv"}]',3,'2026-06-08T07:00:00.000000+00:00',NULL,'');
CREATE TABLE erasures (
	address_hash BLOB NOT NULL, 
	erased_at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_erasures PRIMARY KEY (address_hash)
);
INSERT INTO "erasures" VALUES(X'0303030303030303030303030303030303030303030303030303030303030303','2026-06-08T07:00:00.000000+00:00');
CREATE TABLE fetches (
	url VARCHAR NOT NULL, 
	etag VARCHAR NOT NULL, 
	last_modified VARCHAR NOT NULL, 
	content_type VARCHAR NOT NULL, 
	body BLOB NOT NULL, 
	fetched_at VARCHAR(32) NOT NULL, 
	used_at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_fetches PRIMARY KEY (url)
);
INSERT INTO "fetches" VALUES('https://rss.example.org/cs.CV','"one"','','application/rss+xml',X'789C4B040000620062','2026-06-08T07:00:00.000000+00:00','2026-06-08T07:00:00.000000+00:00');
CREATE TABLE letters (
	id INTEGER NOT NULL, 
	list_id VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	address VARCHAR NOT NULL, 
	address_key VARCHAR NOT NULL, 
	message BLOB NOT NULL, 
	written_at VARCHAR(32) NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	next_attempt_at VARCHAR(32), 
	reply TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_letters PRIMARY KEY (id)
);
INSERT INTO "letters" VALUES(1,'lab','sign-up','new@example.org','new@example.org',X'5375626A6563743A20706C6561736520636F6E6669726D0D0A0D0A','2026-06-08T07:00:00.000000+00:00',0,'2026-06-08T07:00:00.000000+00:00','');
CREATE TABLE mailboxes (
	list_id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	uid_validity INTEGER NOT NULL, 
	uid INTEGER NOT NULL, 
	read_at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_mailboxes PRIMARY KEY (list_id, name)
);
INSERT INTO "mailboxes" VALUES('lab','imap',7,42,'2026-06-08T07:00:00.000000+00:00');
CREATE TABLE paper_keys (
	"key" VARCHAR NOT NULL, 
	paper_id VARCHAR NOT NULL, 
	CONSTRAINT pk_paper_keys PRIMARY KEY ("key", paper_id)
);
INSERT INTO "paper_keys" VALUES('arxiv:2606.90001','arxiv:2606.90001');
CREATE TABLE papers (
	id VARCHAR NOT NULL, 
	paper TEXT NOT NULL, 
	first_seen_at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_papers PRIMARY KEY (id)
);
INSERT INTO "papers" VALUES('arxiv:2606.90001','{"abstract":"We invent paper 1. It generates video by diffusion.","authors":["Ada Example"],"categories":["cs.CV"],"id":"arxiv:2606.90001","primary_category":"cs.CV","title":"Invented paper number 1","version":1}','2026-06-08T07:00:00.000000+00:00');
INSERT INTO "papers" VALUES('arxiv:2606.90002','{"abstract":"We invent paper 2. It generates video by diffusion.","authors":["Ada Example"],"categories":["cs.CV"],"id":"arxiv:2606.90002","primary_category":"cs.CV","title":"Invented paper number 2","version":1}','2026-06-08T07:05:00.000000+00:00');
CREATE TABLE pauses (
	list_id VARCHAR NOT NULL, 
	since VARCHAR(32) NOT NULL, 
	"by" VARCHAR NOT NULL, 
	reason TEXT NOT NULL, 
	CONSTRAINT pk_pauses PRIMARY KEY (list_id)
);
INSERT INTO "pauses" VALUES('club','2026-06-08T07:00:00.000000+00:00','ada@host','holidays');
CREATE TABLE relay_days (
	relay VARCHAR NOT NULL, 
	day DATE NOT NULL, 
	messages INTEGER NOT NULL, 
	CONSTRAINT pk_relay_days PRIMARY KEY (relay, day)
);
INSERT INTO "relay_days" VALUES('smtp.example.org','2026-06-08',3);
CREATE TABLE relay_turns (
	relay VARCHAR NOT NULL, 
	domain VARCHAR NOT NULL, 
	free_at FLOAT NOT NULL, 
	CONSTRAINT pk_relay_turns PRIMARY KEY (relay, domain)
);
INSERT INTO "relay_turns" VALUES('smtp.example.org','',1780902000.5);
CREATE TABLE runs (
	list_id VARCHAR NOT NULL, 
	done_until VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_runs PRIMARY KEY (list_id)
);
INSERT INTO "runs" VALUES('lab','2026-06-08T07:05:00.000000+00:00');
CREATE TABLE secrets (
	name VARCHAR NOT NULL, 
	value BLOB NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_secrets PRIMARY KEY (name)
);
INSERT INTO "secrets" VALUES('signing key',X'616E20696E76656E746564206B6579206F66203332206279746573206C6F6E67','2026-06-08T07:00:00.000000+00:00');
CREATE TABLE shards (
	edition_id INTEGER NOT NULL, 
	first INTEGER NOT NULL, 
	last INTEGER NOT NULL, 
	state VARCHAR NOT NULL, 
	due_at VARCHAR(32), 
	tries INTEGER DEFAULT 0 NOT NULL, 
	ranked_at VARCHAR(32), 
	unsettled INTEGER, 
	error TEXT DEFAULT '' NOT NULL, 
	worker VARCHAR DEFAULT '' NOT NULL, 
	begun_at VARCHAR(32), 
	ended_at VARCHAR(32), 
	CONSTRAINT pk_shards PRIMARY KEY (edition_id, first), 
	CONSTRAINT fk_shards_edition_id FOREIGN KEY(edition_id) REFERENCES editions (id)
);
INSERT INTO "shards" VALUES(1,1,3,'done',NULL,1,NULL,NULL,'','host/1',NULL,NULL);
CREATE TABLE signals (
	paper_id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	observed_at VARCHAR(32) NOT NULL, 
	value FLOAT NOT NULL, 
	CONSTRAINT pk_signals PRIMARY KEY (paper_id, name, observed_at)
);
INSERT INTO "signals" VALUES('arxiv:2606.90001','upvotes','2026-06-08T07:00:00.000000+00:00',12.0);
CREATE TABLE source_health (
	list_id VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	pulled_at VARCHAR(32) NOT NULL, 
	good_at VARCHAR(32), 
	summary TEXT NOT NULL, 
	CONSTRAINT pk_source_health PRIMARY KEY (list_id, source)
);
INSERT INTO "source_health" VALUES('lab','arxiv',0,'2026-06-08T07:00:00.000000+00:00','2026-06-08T07:00:00.000000+00:00','{"expected":4,"fresh":1,"received":3,"source":"arxiv"}');
CREATE TABLE subscribers (
	id INTEGER NOT NULL, 
	list_id VARCHAR NOT NULL, 
	address VARCHAR NOT NULL, 
	address_key VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	timezone VARCHAR, 
	profile TEXT NOT NULL, 
	subscription VARCHAR NOT NULL, 
	listed BOOLEAN NOT NULL, language VARCHAR, signed_up BOOLEAN DEFAULT 0 NOT NULL, has_chosen BOOLEAN DEFAULT 0 NOT NULL, frequency VARCHAR, hour INTEGER, paused_until DATE, created_at VARCHAR(32), confirmed_at VARCHAR(32), 
	CONSTRAINT pk_subscribers PRIMARY KEY (id), 
	CONSTRAINT uq_subscribers_list_id_address_key UNIQUE (list_id, address_key)
);
INSERT INTO "subscribers" VALUES(1,'lab','Reader1@example.org','reader1@example.org','Reader 1','Europe/Berlin','{"topics":[{"name":"video","text":"video generation by diffusion"}]}','confirmed',1,'de',0,0,NULL,NULL,NULL,'2026-06-08T07:00:00.000000+00:00','2026-06-08T07:00:00.000000+00:00');
INSERT INTO "subscribers" VALUES(2,'lab','Reader2@example.org','reader2@example.org','Reader 2','Europe/Berlin','{"topics":[{"name":"video","text":"video generation by diffusion"}]}','confirmed',1,'de',1,1,NULL,NULL,NULL,'2026-06-08T07:00:00.000000+00:00','2026-06-08T07:00:00.000000+00:00');
INSERT INTO "subscribers" VALUES(3,'lab','Reader3@example.org','reader3@example.org','Reader 3','Europe/Berlin','{"topics":[{"name":"video","text":"video generation by diffusion"}]}','unsubscribed',0,'de',0,0,NULL,NULL,NULL,'2026-06-08T07:00:00.000000+00:00','2026-06-08T07:00:00.000000+00:00');
CREATE TABLE suppressions (
	address_key VARCHAR NOT NULL, 
	reason TEXT NOT NULL, 
	suppressed_at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_suppressions PRIMARY KEY (address_key)
);
INSERT INTO "suppressions" VALUES('gone@example.org','550 5.1.1 no such user','2026-06-08T07:00:00.000000+00:00');
CREATE TABLE vectors (
	model VARCHAR NOT NULL, 
	text_key BLOB NOT NULL, 
	vector BLOB NOT NULL, 
	used_on DATE NOT NULL, 
	CONSTRAINT pk_vectors PRIMARY KEY (model, text_key)
);
INSERT INTO "vectors" VALUES('mini',X'01010101010101010101010101010101',X'020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202','2026-06-08');
CREATE TABLE votes (
	subscriber_id INTEGER NOT NULL, 
	paper_id VARCHAR NOT NULL, 
	ballot VARCHAR NOT NULL, 
	cast_at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_votes PRIMARY KEY (subscriber_id, paper_id), 
	CONSTRAINT fk_votes_subscriber_id FOREIGN KEY(subscriber_id) REFERENCES subscribers (id)
);
INSERT INTO "votes" VALUES(1,'arxiv:2606.90001','more','2026-06-08T07:05:00.000000+00:00');
CREATE INDEX ix_papers_first_seen_at ON papers (first_seen_at);
CREATE INDEX ix_subscribers_address_key ON subscribers (address_key);
CREATE INDEX ix_announcements_edition_id ON announcements (edition_id);
CREATE INDEX ix_deliveries_status_next_attempt_at ON deliveries (status, next_attempt_at);
CREATE INDEX ix_deliveries_subscriber_id ON deliveries (subscriber_id);
CREATE INDEX ix_paper_keys_paper_id ON paper_keys (paper_id);
CREATE INDEX ix_announcements_list_id_first_seen_at ON announcements (list_id, first_seen_at);
CREATE INDEX ix_vectors_used_on ON vectors (used_on);
CREATE INDEX ix_subscribers_list_id_id ON subscribers (list_id, id);
CREATE INDEX ix_letters_list_id_next_attempt_at ON letters (list_id, next_attempt_at);
CREATE INDEX ix_letters_list_id_address_key ON letters (list_id, address_key);
COMMIT;
