CREATE TABLE recordings (
	id VARCHAR(80) NOT NULL, 
	started_us BIGINT NOT NULL, 
	operator TEXT NOT NULL, 
	extension TEXT NOT NULL, 
	caller TEXT NOT NULL, 
	called TEXT NOT NULL, 
	caller_e164 TEXT NOT NULL, 
	called_e164 TEXT NOT NULL, 
	outcome TEXT NOT NULL, 
	retention_due_us BIGINT, 
	document TEXT NOT NULL, 
	peaks_left BLOB NOT NULL, 
	peaks_right BLOB NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX recordings_by_called ON recordings (called_e164, started_us);
CREATE INDEX recordings_by_caller ON recordings (caller_e164, started_us);
CREATE INDEX recordings_by_due ON recordings (retention_due_us);
CREATE INDEX recordings_by_extension ON recordings (extension, started_us);
CREATE INDEX recordings_by_operator ON recordings (operator, started_us);
CREATE INDEX recordings_by_outcome ON recordings (outcome, started_us);
CREATE INDEX recordings_by_raw_called ON recordings (called, started_us);
CREATE INDEX recordings_by_raw_caller ON recordings (caller, started_us);
CREATE INDEX recordings_by_time ON recordings (started_us);
CREATE TABLE schema_version (
	id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE erasures (
	id VARCHAR(16) NOT NULL, 
	recording VARCHAR(80) NOT NULL, 
	start_s FLOAT NOT NULL, 
	end_s FLOAT, 
	kind TEXT NOT NULL, 
	ordered_by TEXT NOT NULL, 
	ordered_us BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	decided_by TEXT, 
	decided_us BIGINT, 
	done_us BIGINT, 
	problem TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	due_us BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX ix_erasures_recording ON erasures (recording);
