BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE builds (
	id INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	build TEXT NOT NULL, 
	CONSTRAINT pk_builds PRIMARY KEY (id), 
	CONSTRAINT uq_builds_digest UNIQUE (digest)
);
INSERT INTO "builds" VALUES(1,'3ac5ea7761020499fda8dfc399e101ec4f5ae1f582ddb6e00095660d56d55b78','{"variant":"net-base","sha256":"abababababababababababababababababababababababababababababababab","architecture":"net","scheme":"fp32","input_size":32,"baseline":"net-base","bytes":44000000,"macs":37000000,"top1":0.98,"top3":0.999,"top1_drop":0.0,"accuracy_images":10000}');
INSERT INTO "builds" VALUES(2,'93f9e0856df51b98080236fcef78ff01ac6334505e42243da9896f7463bb90d5','{"variant":"net-sq8","sha256":"abababababababababababababababababababababababababababababababab","architecture":"net","scheme":"fp32","input_size":32,"baseline":"net-base","bytes":44000000,"macs":37000000,"top1":0.98,"top3":0.999,"top1_drop":0.0,"accuracy_images":10000}');
INSERT INTO "builds" VALUES(3,'a8b62bc4b46518e504e31a5013f6e5b3dcf8bf30fd878bc388d3a99873792dfb','{"variant":"net-p10","sha256":"abababababababababababababababababababababababababababababababab","architecture":"net","scheme":"fp32","input_size":32,"baseline":"net-base","bytes":44000000,"macs":37000000,"top1":0.97,"top3":0.999,"top1_drop":0.0,"accuracy_images":10000}');
INSERT INTO "builds" VALUES(4,'e089315f3b784aaee3bebafd6421b21c46a9b86d9618aa93472421ff4511faae','{"variant":"net-p20","sha256":"abababababababababababababababababababababababababababababababab","architecture":"net","scheme":"fp32","input_size":32,"baseline":"net-base","bytes":44000000,"macs":37000000,"top1":0.98,"top3":0.999,"top1_drop":0.0,"accuracy_images":10000}');
INSERT INTO "builds" VALUES(5,'03ba0b0d1fd59bcae59f519de28f98ce4ca002322e5998ddf8cff88dc1328d47','{"variant":"net-p30","sha256":"abababababababababababababababababababababababababababababababab","architecture":"net","scheme":"fp32","input_size":32,"baseline":"net-base","bytes":44000000,"macs":37000000,"top1":0.98,"top3":0.999,"top1_drop":0.0,"accuracy_images":10000}');
CREATE TABLE choices (
	device_id BIGINT NOT NULL, 
	policy TEXT NOT NULL, 
	decision_id BIGINT NOT NULL, 
	digest TEXT NOT NULL, 
	status TEXT NOT NULL, 
	build_id BIGINT, 
	threads BIGINT, 
	CONSTRAINT pk_choices PRIMARY KEY (device_id, policy), 
	CONSTRAINT fk_choices_device_id FOREIGN KEY(device_id) REFERENCES devices (id)
);
INSERT INTO "choices" VALUES(1,'most-accurate',1,'d70dc2c746cbe598f40666422af2a57bb529f531cbad1d1ecdd19a4e63ca6326','chosen',2,1);
CREATE TABLE decisions (
	id INTEGER NOT NULL, 
	device_id BIGINT NOT NULL, 
	policy TEXT NOT NULL, 
	decided_at FLOAT NOT NULL, 
	digest TEXT NOT NULL, 
	terms_id BIGINT NOT NULL, 
	places BLOB NOT NULL, 
	stale_runs BIGINT NOT NULL, 
	present_build_id BIGINT, 
	present_threads BIGINT, 
	status TEXT NOT NULL, 
	build_id BIGINT, 
	threads BIGINT, 
	CONSTRAINT pk_decisions PRIMARY KEY (id), 
	CONSTRAINT fk_decisions_device_id FOREIGN KEY(device_id) REFERENCES devices (id), 
	CONSTRAINT fk_decisions_terms_id FOREIGN KEY(terms_id) REFERENCES terms (id)
);
INSERT INTO "decisions" VALUES(1,1,'most-accurate',1700001000.0,'d70dc2c746cbe598f40666422af2a57bb529f531cbad1d1ecdd19a4e63ca6326',1,X'0100000000000000010000000000000001000000000000000200000000000000020000000000000002000000000000000200000000000000040000000000000001000000000000000400000000000000',0,NULL,NULL,'chosen',2,1);
CREATE TABLE desired (
	site TEXT NOT NULL, 
	device TEXT NOT NULL, 
	generation BIGINT NOT NULL, 
	decision_id BIGINT NOT NULL, 
	message TEXT NOT NULL, 
	CONSTRAINT pk_desired PRIMARY KEY (site, device, generation)
);
INSERT INTO "desired" VALUES('lab','box',1,1,'{"site":"lab","device":"box","at":1700001000.0,"generation":1,"variant":"net-sq8","sha256":"abababababababababababababababababababababababababababababababab","threads":1,"policy":"most-accurate"}');
CREATE TABLE devices (
	id INTEGER NOT NULL, 
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
	earlier_boots TEXT, fingerprint TEXT, set_id TEXT, told_groups TEXT, returns BIGINT, returned_at FLOAT, 
	CONSTRAINT pk_devices PRIMARY KEY (id), 
	CONSTRAINT uq_devices_site_device UNIQUE (site, device)
);
INSERT INTO "devices" VALUES(1,'lab','box',1700000100.0,1700000100.0,'online','boot-b',1,10.0,'{"site":"lab","device":"box","at":1700000000.0,"agent":"0.1.0","cpu_model":"Cortex-A72","arch":"aarch64","physical_cores":null,"logical_cores":4,"usable_cores":4,"ram_bytes":4000000000,"memory_limit_bytes":null,"threads":[],"os":"Debian 12","kernel":"6.1","python":"3.11","torch":null,"engines":[],"cpu_features":[],"max_clock_mhz":null,"governor":null,"temperature_c":null,"throttled":null,"throttle_causes":[],"throttled_since_start":null,"board":null,"core_types":[],"offline_cores":[],"cpu_quota_cores":null,"memory":null,"disks":[],"power_source":null,"energy_source":null,"groups":["pi4"],"emulates":null,"fingerprint":"fp-1","set_id":"0123456789abcdef","variants":[]}','{"site":"lab","device":"box","at":1.0,"phase":"active","active_variant":"net-sq8","active_sha256":"abababababababababababababababababababababababababababababababab","generation":1,"reason":null}','[["boot-a",3]]','fp-1','0123456789abcdef','["pi4"]',NULL,NULL);
INSERT INTO "devices" VALUES(2,'lab','other',1700000900.0,1700000100.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE disputes (
	epoch_id BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	last_at FLOAT NOT NULL, 
	CONSTRAINT pk_disputes PRIMARY KEY (epoch_id, seq), 
	CONSTRAINT fk_disputes_epoch_id FOREIGN KEY(epoch_id) REFERENCES epochs (id)
);
INSERT INTO "disputes" VALUES(1,1,1700000300.0);
CREATE TABLE epochs (
	id INTEGER NOT NULL, 
	device_id BIGINT NOT NULL, 
	epoch TEXT NOT NULL, 
	through BIGINT NOT NULL, 
	islands TEXT NOT NULL, 
	first_seen_at FLOAT NOT NULL, revision BIGINT DEFAULT '0' NOT NULL, advanced_at FLOAT, returns BIGINT, returned_at FLOAT, 
	CONSTRAINT pk_epochs PRIMARY KEY (id), 
	CONSTRAINT uq_epochs_device_id_epoch UNIQUE (device_id, epoch), 
	CONSTRAINT fk_epochs_device_id FOREIGN KEY(device_id) REFERENCES devices (id)
);
INSERT INTO "epochs" VALUES(1,1,'e-1',2,'[[4,9]]',1700000100.0,4,1.70000080000000095372e+09,2,1700000800.0);
INSERT INTO "epochs" VALUES(2,1,'e-2',4,'[]',1700000400.0,3,1.70000070000000095367e+09,NULL,NULL);
INSERT INTO "epochs" VALUES(3,2,'e-1',1,'[]',1700000900.0,1,1700000900.0,NULL,NULL);
CREATE TABLE facts (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_facts PRIMARY KEY (name)
);
INSERT INTO "facts" VALUES('store_id','590d2a4fb2d540e39a7292baaa4c4697');
CREATE TABLE memberships (
	device_id BIGINT NOT NULL, 
	name TEXT NOT NULL, 
	CONSTRAINT pk_memberships PRIMARY KEY (device_id, name), 
	CONSTRAINT fk_memberships_device_id FOREIGN KEY(device_id) REFERENCES devices (id)
);
INSERT INTO "memberships" VALUES(1,'lab-bench');
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
INSERT INTO "quarantine" VALUES(1,'edgewright/v1/lab/box/result','lab','box','result message: Object missing required field `variant` - at `$.run`',X'7B2274797065223A22726573756C74222C2273697465223A226C6162222C22646576696365223A22626F78222C2265706F6368223A22652D31222C22736571223A352C2272756E223A7B2272756E5F6964223A2272756E2D6E65742D62617365222C2273776565705F6964223A2273776565702D31222C2266616D696C79223A226E6574222C22617263686974656374757265223A226E6574222C22626173656C696E65223A226E65742D62617365222C227365745F6964223A2230313233343536373839616263646566222C22736861323536223A2261626162616261626162616261626162616261626162616261626162616261626162616261626162616261626162616261626162616261626162616261626162222C22736368656D65223A2266703332222C22696E7075745F73697A65223A33322C22737461747573223A226F6B222C22726561736F6E223A6E756C6C2C22737461727465645F6174223A313730303030303030302E302C226475726174696F6E5F73223A322E302C226D6F6465223A22717569636B222C2274687265616473223A312C22656E67696E65223A22783836222C227072657061726174696F6E223A6E756C6C2C2266696E6765727072696E74223A2266702D31222C226D656D6F72795F6C696D69745F6279746573223A6E756C6C2C226D656D6F72795F6C696D69745F6B696E64223A6E756C6C2C226E223A3530302C227035305F6D73223A31302E302C227039305F6D73223A31302E352C227039355F6D73223A31312E302C227039395F6D73223A6E756C6C2C2263695F6C6F775F6D73223A392E39382C2263695F686967685F6D73223A31302E30322C2270726F636573736573223A6E756C6C2C227265706561746162696C697479223A6E756C6C2C226C6F61645F6D73223A33302E302C2266697273745F6D73223A33302E302C2270726570726F636573735F6D73223A6E756C6C2C22706F737470726F636573735F6D73223A6E756C6C2C22656E657267795F6D6A223A6E756C6C2C2273706565647570223A312E302C22626173656C696E655F7273735F6279746573223A6E756C6C2C226C6F616465645F7273735F6279746573223A6E756C6C2C227374656164795F7273735F6279746573223A6E756C6C2C227065616B5F7273735F6279746573223A3330303030303030302C227374656164795F616E6F6E796D6F75735F6279746573223A6E756C6C2C227065616B5F616E6F6E796D6F75735F6279746573223A6E756C6C2C2266697273745F6D696E7574655F7035305F6D73223A6E756C6C2C2269735F73746174696F6E617279223A6E756C6C2C2277696E646F7773223A5B5D2C226279746573223A34343030303030302C22706172616D6574657273223A31313030303030302C226163746976655F706172616D6574657273223A31313030303030302C226D616373223A33373030303030302C22746F7031223A302E39382C22746F7033223A302E3939392C22746F70315F64726F70223A302E302C2261636375726163795F6B696E64223A226C6162656C73222C2261636375726163795F696D61676573223A31303030302C2264617461736574223A22646967697473222C226465766963655F746F7031223A6E756C6C2C226465766963655F746F7033223A6E756C6C2C226465766963655F696D61676573223A6E756C6C2C226465766963655F6761696E6564223A6E756C6C2C226465766963655F6C6F7374223A6E756C6C2C22676F6C64656E223A7B226F6B223A747275652C226D61785F6572726F72223A302E303030312C22746F6C6572616E6365223A302E3030317D2C226265666F7265223A6E756C6C2C226166746572223A6E756C6C2C226E6F746573223A5B5D2C2273616D706C65735F6D73223A5B5D7D7D',1385,'a42452a27ac662bbc4bfa14074058c5f65d46924ab2a75392135406ab5b710c2',1,1700000200.0,1700000200.0);
INSERT INTO "quarantine" VALUES(2,'edgewright/v1/lab/box/result','lab','box','result message: JSON is malformed: invalid character (byte 4)',X'6E6F74206A736F6E20FF',10,'a29d9b6d1b9d11ed3db506cc4df6bd3e2d7ec356397ef6e2db6e2fa8d9cf4d84',2,1700000200.0,1700000200.0);
INSERT INTO "quarantine" VALUES(3,'edgewright/v1/lab/box/result','lab','box','result 1 of outbox ''e-1'' is stored with other content; expected the same bytes: two devices may share one identity',X'7B2274797065223A22726573756C74222C2273697465223A226C6162222C22646576696365223A22626F78222C2265706F6368223A22652D31222C22736571223A312C2272756E223A7B2272756E5F6964223A2272756E2D39222C2273776565705F6964223A2273776565702D31222C2276617269616E74223A226E65742D62617365222C2266616D696C79223A226E6574222C22617263686974656374757265223A226E6574222C22626173656C696E65223A226E65742D62617365222C227365745F6964223A2230313233343536373839616263646566222C22736861323536223A2261626162616261626162616261626162616261626162616261626162616261626162616261626162616261626162616261626162616261626162616261626162222C22736368656D65223A2266703332222C22696E7075745F73697A65223A33322C22737461747573223A226F6B222C22726561736F6E223A6E756C6C2C22737461727465645F6174223A313730303030303030302E302C226475726174696F6E5F73223A322E302C226D6F6465223A22717569636B222C2274687265616473223A312C22656E67696E65223A22783836222C227072657061726174696F6E223A6E756C6C2C2266696E6765727072696E74223A2266702D31222C226D656D6F72795F6C696D69745F6279746573223A6E756C6C2C226D656D6F72795F6C696D69745F6B696E64223A6E756C6C2C226E223A3530302C227035305F6D73223A31302E302C227039305F6D73223A31302E352C227039355F6D73223A31312E302C227039395F6D73223A6E756C6C2C2263695F6C6F775F6D73223A392E39382C2263695F686967685F6D73223A31302E30322C2270726F636573736573223A6E756C6C2C227265706561746162696C697479223A6E756C6C2C226C6F61645F6D73223A33302E302C2266697273745F6D73223A33302E302C2270726570726F636573735F6D73223A6E756C6C2C22706F737470726F636573735F6D73223A6E756C6C2C22656E657267795F6D6A223A6E756C6C2C2273706565647570223A312E302C22626173656C696E655F7273735F6279746573223A6E756C6C2C226C6F616465645F7273735F6279746573223A6E756C6C2C227374656164795F7273735F6279746573223A6E756C6C2C227065616B5F7273735F6279746573223A3330303030303030302C227374656164795F616E6F6E796D6F75735F6279746573223A6E756C6C2C227065616B5F616E6F6E796D6F75735F6279746573223A6E756C6C2C2266697273745F6D696E7574655F7035305F6D73223A6E756C6C2C2269735F73746174696F6E617279223A6E756C6C2C2277696E646F7773223A5B5D2C226279746573223A34343030303030302C22706172616D6574657273223A31313030303030302C226163746976655F706172616D6574657273223A31313030303030302C226D616373223A33373030303030302C22746F7031223A302E39382C22746F7033223A302E3939392C22746F70315F64726F70223A302E302C2261636375726163795F6B696E64223A226C6162656C73222C2261636375726163795F696D61676573223A31303030302C2264617461736574223A22646967697473222C226465766963655F746F7031223A6E756C6C2C226465766963655F746F7033223A6E756C6C2C226465766963655F696D61676573223A6E756C6C2C226465766963655F6761696E6564223A6E756C6C2C226465766963655F6C6F7374223A6E756C6C2C22676F6C64656E223A7B226F6B223A747275652C226D61785F6572726F72223A302E303030312C22746F6C6572616E6365223A302E3030317D2C226265666F7265223A6E756C6C2C226166746572223A6E756C6C2C226E6F746573223A5B5D2C2273616D706C65735F6D73223A5B5D7D7D',1399,'e680dc1e9571d789383db2c763e4f3003e7277e90930674b4bdc071dd3b368a1',1,1700000300.0,1700000300.0);
CREATE TABLE rejections (
	epoch_id BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	rejected_at FLOAT NOT NULL, 
	CONSTRAINT pk_rejections PRIMARY KEY (epoch_id, seq), 
	CONSTRAINT fk_rejections_epoch_id FOREIGN KEY(epoch_id) REFERENCES epochs (id)
);
INSERT INTO "rejections" VALUES(1,5,'result message: Object missing required field `variant` - at `$.run`',1700000200.0);
CREATE TABLE repeatable (
	device_id BIGINT NOT NULL, 
	run_id TEXT NOT NULL, 
	epoch_id BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	CONSTRAINT pk_repeatable PRIMARY KEY (device_id, run_id, epoch_id), 
	CONSTRAINT fk_repeatable_device_id FOREIGN KEY(device_id) REFERENCES devices (id), 
	CONSTRAINT fk_repeatable_epoch_id FOREIGN KEY(epoch_id) REFERENCES epochs (id)
);
INSERT INTO "repeatable" VALUES(1,'run-1',1,1);
INSERT INTO "repeatable" VALUES(1,'run-2',1,2);
INSERT INTO "repeatable" VALUES(1,'run-4',1,4);
INSERT INTO "repeatable" VALUES(1,'run-5',2,2);
INSERT INTO "repeatable" VALUES(1,'e-2-3',2,3);
INSERT INTO "repeatable" VALUES(1,'e-1-8',1,8);
INSERT INTO "repeatable" VALUES(1,'e-2-4',2,4);
INSERT INTO "repeatable" VALUES(1,'e-1-9',1,9);
CREATE TABLE results (
	id INTEGER NOT NULL, 
	epoch_id BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	build_id BIGINT NOT NULL, 
	run_id TEXT NOT NULL, 
	body_sha256 TEXT NOT NULL, 
	received_at FLOAT NOT NULL, 
	variant TEXT NOT NULL, 
	threads BIGINT NOT NULL, 
	status TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	set_id TEXT NOT NULL, 
	figures BLOB NOT NULL, 
	run TEXT NOT NULL, 
	CONSTRAINT pk_results PRIMARY KEY (id), 
	CONSTRAINT uq_results_epoch_id_seq UNIQUE (epoch_id, seq), 
	CONSTRAINT fk_results_epoch_id FOREIGN KEY(epoch_id) REFERENCES epochs (id), 
	CONSTRAINT fk_results_build_id FOREIGN KEY(build_id) REFERENCES builds (id)
);
INSERT INTO "results" VALUES(1,1,1,1,'run-1','2aecf3bd487f81c38a6b7040414b833ddf0a9f8ed6affa5e5d7f9b3ec4635309',1700000100.0,'net-base',1,'ok','fp-1','0123456789abcdef',X'000000000000F03F0000000000407F40000000000000F87F00000000000024400000000000002640F6285C8FC2F523400AD7A3703D0A2440000000000000F87F000000000000F87F0000000000003E400000000000003E40000000000000F87F000000000000F03F00000000A3E1B141','{"run_id":"run-1","sweep_id":"sweep-1","variant":"net-base","family":"net","architecture":"net","baseline":"net-base","set_id":"0123456789abcdef","sha256":"abababababababababababababababababababababababababababababababab","scheme":"fp32","input_size":32,"status":"ok","reason":null,"started_at":1700000000.0,"duration_s":2.0,"mode":"quick","threads":1,"engine":"x86","preparation":null,"fingerprint":"fp-1","memory_limit_bytes":null,"memory_limit_kind":null,"n":500,"p50_ms":10.0,"p90_ms":10.5,"p95_ms":11.0,"p99_ms":null,"ci_low_ms":9.98,"ci_high_ms":10.02,"processes":null,"repeatability":null,"load_ms":30.0,"first_ms":30.0,"preprocess_ms":null,"postprocess_ms":null,"energy_mj":null,"speedup":1.0,"baseline_rss_bytes":null,"loaded_rss_bytes":null,"steady_rss_bytes":null,"peak_rss_bytes":300000000,"steady_anonymous_bytes":null,"peak_anonymous_bytes":null,"first_minute_p50_ms":null,"is_stationary":null,"windows":[],"bytes":44000000,"parameters":11000000,"active_parameters":11000000,"macs":37000000,"top1":0.98,"top3":0.999,"top1_drop":0.0,"accuracy_kind":"labels","accuracy_images":10000,"dataset":"digits","device_top1":null,"device_top3":null,"device_images":null,"device_gained":null,"device_lost":null,"golden":{"ok":true,"max_error":0.0001,"tolerance":0.001},"before":null,"after":null,"notes":[],"samples_ms":[]}');
INSERT INTO "results" VALUES(2,1,2,3,'run-2','edb768bcf5f7c7eee4930d217c97c6b280c046e919e6dff0dac63e34c8a6d2aa',1700000100.0,'net-p10',1,'ok','fp-1','0123456789abcdef',X'000000000000F03F0000000000407F40000000000000F87F00000000000014400000000000001640F6285C8FC2F513400AD7A3703D0A1440000000000000F87F000000000000F87F0000000000003E400000000000002E40000000000000F87F000000000000F03F00000000A3E1B141','{"run_id":"run-2","sweep_id":"sweep-1","variant":"net-p10","family":"net","architecture":"net","baseline":"net-base","set_id":"0123456789abcdef","sha256":"abababababababababababababababababababababababababababababababab","scheme":"fp32","input_size":32,"status":"ok","reason":null,"started_at":1700000000.0,"duration_s":2.0,"mode":"quick","threads":1,"engine":"x86","preparation":null,"fingerprint":"fp-1","memory_limit_bytes":null,"memory_limit_kind":null,"n":500,"p50_ms":5.0,"p90_ms":5.25,"p95_ms":5.5,"p99_ms":null,"ci_low_ms":4.99,"ci_high_ms":5.01,"processes":null,"repeatability":null,"load_ms":30.0,"first_ms":15.0,"preprocess_ms":null,"postprocess_ms":null,"energy_mj":null,"speedup":1.0,"baseline_rss_bytes":null,"loaded_rss_bytes":null,"steady_rss_bytes":null,"peak_rss_bytes":300000000,"steady_anonymous_bytes":null,"peak_anonymous_bytes":null,"first_minute_p50_ms":null,"is_stationary":null,"windows":[],"bytes":44000000,"parameters":11000000,"active_parameters":11000000,"macs":37000000,"top1":0.97,"top3":0.999,"top1_drop":0.0,"accuracy_kind":"labels","accuracy_images":10000,"dataset":"digits","device_top1":null,"device_top3":null,"device_images":null,"device_gained":null,"device_lost":null,"golden":{"ok":true,"max_error":0.0001,"tolerance":0.001},"before":null,"after":null,"notes":[],"samples_ms":[]}');
INSERT INTO "results" VALUES(3,1,4,2,'run-4','8875cd05996549557cb050a55ad663a8ffd44b6080d209c4a99e87d32096c97b',1700000100.0,'net-sq8',1,'ok','fp-1','0123456789abcdef',X'000000000000F03F0000000000407F40000000000000F87F00000000000008406766666666660A40C0CAA145B6F3074040355EBA490C0840000000000000F87F000000000000F87F0000000000003E400000000000002240000000000000F87F000000000000F03F00000000A3E1B141','{"run_id":"run-4","sweep_id":"sweep-1","variant":"net-sq8","family":"net","architecture":"net","baseline":"net-base","set_id":"0123456789abcdef","sha256":"abababababababababababababababababababababababababababababababab","scheme":"fp32","input_size":32,"status":"ok","reason":null,"started_at":1700000000.0,"duration_s":2.0,"mode":"quick","threads":1,"engine":"x86","preparation":null,"fingerprint":"fp-1","memory_limit_bytes":null,"memory_limit_kind":null,"n":500,"p50_ms":3.0,"p90_ms":3.1500000000000004,"p95_ms":3.3000000000000003,"p99_ms":null,"ci_low_ms":2.9939999999999998,"ci_high_ms":3.0060000000000002,"processes":null,"repeatability":null,"load_ms":30.0,"first_ms":9.0,"preprocess_ms":null,"postprocess_ms":null,"energy_mj":null,"speedup":1.0,"baseline_rss_bytes":null,"loaded_rss_bytes":null,"steady_rss_bytes":null,"peak_rss_bytes":300000000,"steady_anonymous_bytes":null,"peak_anonymous_bytes":null,"first_minute_p50_ms":null,"is_stationary":null,"windows":[],"bytes":44000000,"parameters":11000000,"active_parameters":11000000,"macs":37000000,"top1":0.98,"top3":0.999,"top1_drop":0.0,"accuracy_kind":"labels","accuracy_images":10000,"dataset":"digits","device_top1":null,"device_top3":null,"device_images":null,"device_gained":null,"device_lost":null,"golden":{"ok":true,"max_error":0.0001,"tolerance":0.001},"before":null,"after":null,"notes":[],"samples_ms":[]}');
INSERT INTO "results" VALUES(4,2,2,4,'run-5','1a8b463f7b270ad93bb781d0cf3e098efef9651e3f2c0191079c4a137efb7db7',1700000100.0,'net-p20',1,'ok','fp-1','0123456789abcdef',X'000000000000F03F0000000000407F40000000000000F87F00000000000024400000000000002640F6285C8FC2F523400AD7A3703D0A2440000000000000F87F000000000000F87F0000000000003E400000000000003E40000000000000F87F000000000000F03F00000000A3E1B141','{"run_id":"run-5","sweep_id":"sweep-1","variant":"net-p20","family":"net","architecture":"net","baseline":"net-base","set_id":"0123456789abcdef","sha256":"abababababababababababababababababababababababababababababababab","scheme":"fp32","input_size":32,"status":"ok","reason":null,"started_at":1700000000.0,"duration_s":2.0,"mode":"quick","threads":1,"engine":"x86","preparation":null,"fingerprint":"fp-1","memory_limit_bytes":null,"memory_limit_kind":null,"n":500,"p50_ms":10.0,"p90_ms":10.5,"p95_ms":11.0,"p99_ms":null,"ci_low_ms":9.98,"ci_high_ms":10.02,"processes":null,"repeatability":null,"load_ms":30.0,"first_ms":30.0,"preprocess_ms":null,"postprocess_ms":null,"energy_mj":null,"speedup":1.0,"baseline_rss_bytes":null,"loaded_rss_bytes":null,"steady_rss_bytes":null,"peak_rss_bytes":300000000,"steady_anonymous_bytes":null,"peak_anonymous_bytes":null,"first_minute_p50_ms":null,"is_stationary":null,"windows":[],"bytes":44000000,"parameters":11000000,"active_parameters":11000000,"macs":37000000,"top1":0.98,"top3":0.999,"top1_drop":0.0,"accuracy_kind":"labels","accuracy_images":10000,"dataset":"digits","device_top1":null,"device_top3":null,"device_images":null,"device_gained":null,"device_lost":null,"golden":{"ok":true,"max_error":0.0001,"tolerance":0.001},"before":null,"after":null,"notes":[],"samples_ms":[]}');
INSERT INTO "results" VALUES(5,2,3,5,'e-2-3','26bab2246e73b3089df9db545b993c4d72ac16e77a96448dc85ab8b76af55933',1700000100.0,'net-p30',1,'ok','fp-1','0123456789abcdef',X'000000000000F03F0000000000407F40000000000000F87F00000000000010409A99999999991140560E2DB29DEF0F40D578E92631081040000000000000F87F000000000000F87F0000000000003E400000000000002840000000000000F87F000000000000F03F00000000A3E1B141','{"run_id":"e-2-3","sweep_id":"sweep-1","variant":"net-p30","family":"net","architecture":"net","baseline":"net-base","set_id":"0123456789abcdef","sha256":"abababababababababababababababababababababababababababababababab","scheme":"fp32","input_size":32,"status":"ok","reason":null,"started_at":1700000000.0,"duration_s":2.0,"mode":"quick","threads":1,"engine":"x86","preparation":null,"fingerprint":"fp-1","memory_limit_bytes":null,"memory_limit_kind":null,"n":500,"p50_ms":4.0,"p90_ms":4.2,"p95_ms":4.4,"p99_ms":null,"ci_low_ms":3.992,"ci_high_ms":4.008,"processes":null,"repeatability":null,"load_ms":30.0,"first_ms":12.0,"preprocess_ms":null,"postprocess_ms":null,"energy_mj":null,"speedup":1.0,"baseline_rss_bytes":null,"loaded_rss_bytes":null,"steady_rss_bytes":null,"peak_rss_bytes":300000000,"steady_anonymous_bytes":null,"peak_anonymous_bytes":null,"first_minute_p50_ms":null,"is_stationary":null,"windows":[],"bytes":44000000,"parameters":11000000,"active_parameters":11000000,"macs":37000000,"top1":0.98,"top3":0.999,"top1_drop":0.0,"accuracy_kind":"labels","accuracy_images":10000,"dataset":"digits","device_top1":null,"device_top3":null,"device_images":null,"device_gained":null,"device_lost":null,"golden":{"ok":true,"max_error":0.0001,"tolerance":0.001},"before":null,"after":null,"notes":[],"samples_ms":[]}');
INSERT INTO "results" VALUES(6,1,8,5,'e-1-8','c56d269d6d80525493dd6e2dcd1c17c26d93de3966488d8b8923ca3b9bf272c5',1700000100.0,'net-p30',1,'ok','fp-1','0123456789abcdef',X'000000000000F03F0000000000407F40000000000000F87F00000000000010409A99999999991140560E2DB29DEF0F40D578E92631081040000000000000F87F000000000000F87F0000000000003E400000000000002840000000000000F87F000000000000F03F00000000A3E1B141','{"run_id":"e-1-8","sweep_id":"sweep-1","variant":"net-p30","family":"net","architecture":"net","baseline":"net-base","set_id":"0123456789abcdef","sha256":"abababababababababababababababababababababababababababababababab","scheme":"fp32","input_size":32,"status":"ok","reason":null,"started_at":1700000000.0,"duration_s":2.0,"mode":"quick","threads":1,"engine":"x86","preparation":null,"fingerprint":"fp-1","memory_limit_bytes":null,"memory_limit_kind":null,"n":500,"p50_ms":4.0,"p90_ms":4.2,"p95_ms":4.4,"p99_ms":null,"ci_low_ms":3.992,"ci_high_ms":4.008,"processes":null,"repeatability":null,"load_ms":30.0,"first_ms":12.0,"preprocess_ms":null,"postprocess_ms":null,"energy_mj":null,"speedup":1.0,"baseline_rss_bytes":null,"loaded_rss_bytes":null,"steady_rss_bytes":null,"peak_rss_bytes":300000000,"steady_anonymous_bytes":null,"peak_anonymous_bytes":null,"first_minute_p50_ms":null,"is_stationary":null,"windows":[],"bytes":44000000,"parameters":11000000,"active_parameters":11000000,"macs":37000000,"top1":0.98,"top3":0.999,"top1_drop":0.0,"accuracy_kind":"labels","accuracy_images":10000,"dataset":"digits","device_top1":null,"device_top3":null,"device_images":null,"device_gained":null,"device_lost":null,"golden":{"ok":true,"max_error":0.0001,"tolerance":0.001},"before":null,"after":null,"notes":[],"samples_ms":[]}');
INSERT INTO "results" VALUES(7,2,4,5,'e-2-4','397b31c8bc1c866483e114d71f349380088cbaf9b704b957e7e213e2a4df698a',1700000100.0,'net-p30',1,'ok','fp-1','0123456789abcdef',X'000000000000F03F0000000000407F40000000000000F87F00000000000010409A99999999991140560E2DB29DEF0F40D578E92631081040000000000000F87F000000000000F87F0000000000003E400000000000002840000000000000F87F000000000000F03F00000000A3E1B141','{"run_id":"e-2-4","sweep_id":"sweep-1","variant":"net-p30","family":"net","architecture":"net","baseline":"net-base","set_id":"0123456789abcdef","sha256":"abababababababababababababababababababababababababababababababab","scheme":"fp32","input_size":32,"status":"ok","reason":null,"started_at":1700000000.0,"duration_s":2.0,"mode":"quick","threads":1,"engine":"x86","preparation":null,"fingerprint":"fp-1","memory_limit_bytes":null,"memory_limit_kind":null,"n":500,"p50_ms":4.0,"p90_ms":4.2,"p95_ms":4.4,"p99_ms":null,"ci_low_ms":3.992,"ci_high_ms":4.008,"processes":null,"repeatability":null,"load_ms":30.0,"first_ms":12.0,"preprocess_ms":null,"postprocess_ms":null,"energy_mj":null,"speedup":1.0,"baseline_rss_bytes":null,"loaded_rss_bytes":null,"steady_rss_bytes":null,"peak_rss_bytes":300000000,"steady_anonymous_bytes":null,"peak_anonymous_bytes":null,"first_minute_p50_ms":null,"is_stationary":null,"windows":[],"bytes":44000000,"parameters":11000000,"active_parameters":11000000,"macs":37000000,"top1":0.98,"top3":0.999,"top1_drop":0.0,"accuracy_kind":"labels","accuracy_images":10000,"dataset":"digits","device_top1":null,"device_top3":null,"device_images":null,"device_gained":null,"device_lost":null,"golden":{"ok":true,"max_error":0.0001,"tolerance":0.001},"before":null,"after":null,"notes":[],"samples_ms":[]}');
INSERT INTO "results" VALUES(8,1,9,5,'e-1-9','454d4ff2405749d1f1de86f795038b0d3f97654ff531dd4866fa5cbecd21edfa',1700000100.0,'net-p30',1,'ok','fp-1','0123456789abcdef',X'000000000000F03F0000000000407F40000000000000F87F00000000000010409A99999999991140560E2DB29DEF0F40D578E92631081040000000000000F87F000000000000F87F0000000000003E400000000000002840000000000000F87F000000000000F03F00000000A3E1B141','{"run_id":"e-1-9","sweep_id":"sweep-1","variant":"net-p30","family":"net","architecture":"net","baseline":"net-base","set_id":"0123456789abcdef","sha256":"abababababababababababababababababababababababababababababababab","scheme":"fp32","input_size":32,"status":"ok","reason":null,"started_at":1700000000.0,"duration_s":2.0,"mode":"quick","threads":1,"engine":"x86","preparation":null,"fingerprint":"fp-1","memory_limit_bytes":null,"memory_limit_kind":null,"n":500,"p50_ms":4.0,"p90_ms":4.2,"p95_ms":4.4,"p99_ms":null,"ci_low_ms":3.992,"ci_high_ms":4.008,"processes":null,"repeatability":null,"load_ms":30.0,"first_ms":12.0,"preprocess_ms":null,"postprocess_ms":null,"energy_mj":null,"speedup":1.0,"baseline_rss_bytes":null,"loaded_rss_bytes":null,"steady_rss_bytes":null,"peak_rss_bytes":300000000,"steady_anonymous_bytes":null,"peak_anonymous_bytes":null,"first_minute_p50_ms":null,"is_stationary":null,"windows":[],"bytes":44000000,"parameters":11000000,"active_parameters":11000000,"macs":37000000,"top1":0.98,"top3":0.999,"top1_drop":0.0,"accuracy_kind":"labels","accuracy_images":10000,"dataset":"digits","device_top1":null,"device_top3":null,"device_images":null,"device_gained":null,"device_lost":null,"golden":{"ok":true,"max_error":0.0001,"tolerance":0.001},"before":null,"after":null,"notes":[],"samples_ms":[]}');
INSERT INTO "results" VALUES(9,3,1,1,'run-net-base','537f833d52b0e1ae95ecf026c08c35307fecaa9cc635caa686af541388fdf8df',1700000100.0,'net-base',1,'ok','fp-1','0123456789abcdef',X'000000000000F03F0000000000407F40000000000000F87F00000000000024400000000000002640F6285C8FC2F523400AD7A3703D0A2440000000000000F87F000000000000F87F0000000000003E400000000000003E40000000000000F87F000000000000F03F00000000A3E1B141','{"run_id":"run-net-base","sweep_id":"sweep-1","variant":"net-base","family":"net","architecture":"net","baseline":"net-base","set_id":"0123456789abcdef","sha256":"abababababababababababababababababababababababababababababababab","scheme":"fp32","input_size":32,"status":"ok","reason":null,"started_at":1700000000.0,"duration_s":2.0,"mode":"quick","threads":1,"engine":"x86","preparation":null,"fingerprint":"fp-1","memory_limit_bytes":null,"memory_limit_kind":null,"n":500,"p50_ms":10.0,"p90_ms":10.5,"p95_ms":11.0,"p99_ms":null,"ci_low_ms":9.98,"ci_high_ms":10.02,"processes":null,"repeatability":null,"load_ms":30.0,"first_ms":30.0,"preprocess_ms":null,"postprocess_ms":null,"energy_mj":null,"speedup":1.0,"baseline_rss_bytes":null,"loaded_rss_bytes":null,"steady_rss_bytes":null,"peak_rss_bytes":300000000,"steady_anonymous_bytes":null,"peak_anonymous_bytes":null,"first_minute_p50_ms":null,"is_stationary":null,"windows":[],"bytes":44000000,"parameters":11000000,"active_parameters":11000000,"macs":37000000,"top1":0.98,"top3":0.999,"top1_drop":0.0,"accuracy_kind":"labels","accuracy_images":10000,"dataset":"digits","device_top1":null,"device_top3":null,"device_images":null,"device_gained":null,"device_lost":null,"golden":{"ok":true,"max_error":0.0001,"tolerance":0.001},"before":null,"after":null,"notes":[],"samples_ms":[]}');
CREATE TABLE rollups (
	epoch_id BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	rolled_up_at FLOAT NOT NULL, 
	n BIGINT NOT NULL, 
	min_ms FLOAT NOT NULL, 
	max_ms FLOAT NOT NULL, 
	mean_ms FLOAT NOT NULL, 
	stddev_ms FLOAT, 
	p1_ms FLOAT NOT NULL, 
	p5_ms FLOAT NOT NULL, 
	p10_ms FLOAT NOT NULL, 
	p25_ms FLOAT NOT NULL, 
	p50_ms FLOAT NOT NULL, 
	p75_ms FLOAT NOT NULL, 
	p90_ms FLOAT NOT NULL, 
	p95_ms FLOAT NOT NULL, 
	p99_ms FLOAT NOT NULL, 
	p99_9_ms FLOAT NOT NULL, 
	CONSTRAINT pk_rollups PRIMARY KEY (epoch_id, seq), 
	CONSTRAINT fk_rollups_epoch_id FOREIGN KEY(epoch_id) REFERENCES epochs (id)
);
INSERT INTO "rollups" VALUES(1,1,1700000100.0,4,10.0,11.0,10.4375,4.26956281914983248881e-01,10.0075,10.0375,10.075,10.1875,10.375,10.625,10.85,10.925,10.985,10.9985);
INSERT INTO "rollups" VALUES(1,4,1700000100.0,4,10.0,11.0,10.4375,4.26956281914983248881e-01,10.0075,10.0375,10.075,10.1875,10.375,10.625,10.85,10.925,10.985,10.9985);
CREATE TABLE samples (
	epoch_id BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	latencies_ms BLOB NOT NULL, 
	CONSTRAINT pk_samples PRIMARY KEY (epoch_id, seq), 
	CONSTRAINT fk_samples_epoch_id FOREIGN KEY(epoch_id) REFERENCES epochs (id)
);
INSERT INTO "samples" VALUES(2,2,X'0000000000002440000000000000254000000000000026400000000000802440');
CREATE TABLE standings (
	device_id BIGINT NOT NULL, 
	told_fingerprint TEXT, 
	told_set_id TEXT, 
	fingerprint TEXT, 
	set_id TEXT, 
	revision BIGINT NOT NULL, 
	last_result_id BIGINT NOT NULL, 
	current_runs BIGINT NOT NULL, 
	stale_runs BIGINT NOT NULL, 
	entries BLOB NOT NULL, 
	CONSTRAINT pk_standings PRIMARY KEY (device_id), 
	CONSTRAINT fk_standings_device_id FOREIGN KEY(device_id) REFERENCES devices (id)
);
INSERT INTO "standings" VALUES(1,'fp-1','0123456789abcdef','fp-1','0123456789abcdef',7,8,8,0,X'010000000000000001000000000000000100000000000000010000000000000000000059FC54D941000000000000F03F0000000000407F40000000000000F87F00000000000024400000000000002640F6285C8FC2F523400AD7A3703D0A2440000000000000F87F000000000000F87F0000000000003E400000000000003E40000000000000F87F000000000000F03F00000000A3E1B141030000000000000001000000000000000100000000000000020000000000000000000059FC54D941000000000000F03F0000000000407F40000000000000F87F00000000000014400000000000001640F6285C8FC2F513400AD7A3703D0A1440000000000000F87F000000000000F87F0000000000003E400000000000002E40000000000000F87F000000000000F03F00000000A3E1B141040000000000000001000000000000000200000000000000020000000000000000000059FC54D941000000000000F03F0000000000407F40000000000000F87F00000000000024400000000000002640F6285C8FC2F523400AD7A3703D0A2440000000000000F87F000000000000F87F0000000000003E400000000000003E40000000000000F87F000000000000F03F00000000A3E1B141050000000000000001000000000000000200000000000000040000000000000000000059FC54D941000000000000F03F0000000000407F40000000000000F87F00000000000010409A99999999991140560E2DB29DEF0F40D578E92631081040000000000000F87F000000000000F87F0000000000003E400000000000002840000000000000F87F000000000000F03F00000000A3E1B141020000000000000001000000000000000100000000000000040000000000000000000059FC54D941000000000000F03F0000000000407F40000000000000F87F00000000000008406766666666660A40C0CAA145B6F3074040355EBA490C0840000000000000F87F000000000000F87F0000000000003E400000000000002240000000000000F87F000000000000F03F00000000A3E1B141');
CREATE TABLE terms (
	id INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	terms TEXT NOT NULL, 
	CONSTRAINT pk_terms PRIMARY KEY (id), 
	CONSTRAINT uq_terms_digest UNIQUE (digest)
);
INSERT INTO "terms" VALUES(1,'566cb327c7c7926a8087bec3a24f364cb42d1f7b4764b46942cdf3d18320f59f','{"policy":"most-accurate","constraints":[{"metric":"p95_ms","operator":"<=","limit":150.0,"origin":"policy"}],"objectives":[{"metric":"top1"},{"metric":"p95_ms"}]}');
CREATE TABLE tombstones (
	epoch_id BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	last_seq BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	received_at FLOAT NOT NULL, 
	CONSTRAINT pk_tombstones PRIMARY KEY (epoch_id, seq, last_seq), 
	CONSTRAINT fk_tombstones_epoch_id FOREIGN KEY(epoch_id) REFERENCES epochs (id)
);
INSERT INTO "tombstones" VALUES(1,6,7,'outbox full',1700000100.0);
CREATE INDEX ix_quarantine_site_device ON quarantine (site, device);
CREATE INDEX ix_decisions_device_id_policy_id ON decisions (device_id, policy, id);
COMMIT;
