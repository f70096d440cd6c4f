BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE decisions (
	id INTEGER NOT NULL, 
	site TEXT NOT NULL, 
	device TEXT NOT NULL, 
	policy TEXT NOT NULL, 
	decided_at FLOAT NOT NULL, 
	evidence_sha256 TEXT NOT NULL, 
	inputs TEXT NOT NULL, 
	outcome TEXT NOT NULL, 
	CONSTRAINT pk_decisions PRIMARY KEY (id)
);
CREATE TABLE desired (
	site TEXT NOT NULL, 
	device TEXT NOT NULL, 
	generation BIGINT NOT NULL, 
	decision_id BIGINT NOT NULL, 
	message TEXT NOT NULL, 
	CONSTRAINT pk_desired PRIMARY KEY (site, device, generation)
);
CREATE TABLE devices (
	site TEXT NOT NULL, 
	device TEXT NOT NULL, 
	first_seen_at FLOAT NOT NULL, 
	last_seen_at FLOAT, 
	presence TEXT, 
	boot_id TEXT, 
	connection BIGINT, 
	state_at FLOAT, 
	inventory TEXT, 
	progress TEXT, 
	CONSTRAINT pk_devices PRIMARY KEY (site, device)
);
INSERT INTO "devices" VALUES('lab','box',100.0,50.0,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE epochs (
	id INTEGER NOT NULL, 
	site TEXT NOT NULL, 
	device TEXT NOT NULL, 
	epoch TEXT NOT NULL, 
	through BIGINT NOT NULL, 
	islands TEXT NOT NULL, 
	first_seen_at FLOAT NOT NULL, 
	CONSTRAINT pk_epochs PRIMARY KEY (id), 
	CONSTRAINT uq_epochs_site_device_epoch UNIQUE (site, device, epoch)
);
INSERT INTO "epochs" VALUES(1,'lab','box','e-1',1,'[]',100.0);
CREATE TABLE facts (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_facts PRIMARY KEY (name)
);
INSERT INTO "facts" VALUES('store_id','90267c3cf42740e19f04bcbc59b396bf');
CREATE TABLE quarantine (
	id INTEGER NOT NULL, 
	topic TEXT NOT NULL, 
	site TEXT, 
	device TEXT, 
	reason TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	payload_bytes BIGINT NOT NULL, 
	payload_sha256 TEXT NOT NULL, 
	times BIGINT NOT NULL, 
	first_at FLOAT NOT NULL, 
	last_at FLOAT NOT NULL, 
	CONSTRAINT pk_quarantine PRIMARY KEY (id), 
	CONSTRAINT uq_quarantine_topic_payload_sha256 UNIQUE (topic, payload_sha256)
);
CREATE TABLE rejections (
	site TEXT NOT NULL, 
	device TEXT NOT NULL, 
	epoch TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	rejected_at FLOAT NOT NULL, 
	CONSTRAINT pk_rejections PRIMARY KEY (site, device, epoch, seq)
);
CREATE TABLE results (
	id INTEGER NOT NULL, 
	site TEXT NOT NULL, 
	device TEXT NOT NULL, 
	epoch TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	body_sha256 TEXT NOT NULL, 
	received_at FLOAT NOT NULL, 
	variant TEXT NOT NULL, 
	threads BIGINT NOT NULL, 
	status TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	set_id TEXT NOT NULL, 
	p95_ci_low_ms FLOAT, 
	p95_ci_high_ms FLOAT, 
	run TEXT NOT NULL, 
	CONSTRAINT pk_results PRIMARY KEY (id), 
	CONSTRAINT uq_results_site_device_epoch_seq UNIQUE (site, device, epoch, seq)
);
INSERT INTO "results" VALUES(1,'lab','box','e-1',1,'cfc1db6054964e91d365ef1d335c58e7a5ef42b632c7de45298886718b747679',50.0,'net-base',1,'ok','fp-1','0123456789abcdef',NULL,NULL,'{"run_id":"run-net-base","sweep_id":"sweep-1","variant":"net-base","family":"net","architecture":"net","baseline":"net-base","set_id":"0123456789abcdef","sha256":"abababababababababababababababababababababababababababababababab","scheme":"fp32","input_size":32,"status":"ok","reason":null,"started_at":1700000000.0,"duration_s":2.0,"mode":"quick","threads":1,"engine":"x86","fingerprint":"fp-1","memory_limit_bytes":null,"memory_limit_kind":null,"n":500,"p50_ms":10.0,"p90_ms":10.5,"p95_ms":11.0,"p99_ms":null,"ci_low_ms":9.98,"ci_high_ms":10.02,"processes":null,"repeatability":null,"load_ms":30.0,"first_ms":30.0,"preprocess_ms":null,"postprocess_ms":null,"energy_mj":null,"speedup":1.0,"baseline_rss_bytes":null,"loaded_rss_bytes":null,"steady_rss_bytes":null,"peak_rss_bytes":300000000,"steady_anonymous_bytes":null,"peak_anonymous_bytes":null,"first_minute_p50_ms":null,"is_stationary":null,"windows":[],"bytes":44000000,"parameters":11000000,"active_parameters":11000000,"macs":37000000,"top1":0.98,"top3":0.999,"top1_drop":0.0,"accuracy_kind":"labels","accuracy_images":10000,"dataset":"digits","golden":{"ok":true,"max_error":0.0001,"tolerance":0.001},"before":null,"after":null,"notes":[],"samples_ms":[]}');
CREATE TABLE samples (
	site TEXT NOT NULL, 
	device TEXT NOT NULL, 
	epoch TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	latencies_ms BLOB NOT NULL, 
	CONSTRAINT pk_samples PRIMARY KEY (site, device, epoch, seq)
);
CREATE TABLE tombstones (
	site TEXT NOT NULL, 
	device TEXT NOT NULL, 
	epoch TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	last_seq BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	received_at FLOAT NOT NULL, 
	CONSTRAINT pk_tombstones PRIMARY KEY (site, device, epoch, seq, last_seq)
);
CREATE INDEX ix_results_site_device_set_id_fingerprint_variant_threads ON results (site, device, set_id, fingerprint, variant, threads);
CREATE INDEX ix_quarantine_site_device ON quarantine (site, device);
CREATE INDEX ix_decisions_site_device_policy_id ON decisions (site, device, policy, id);
COMMIT;
