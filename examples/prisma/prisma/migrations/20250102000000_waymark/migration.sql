CREATE TABLE agent_sessions (
  id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT,
  agent_name TEXT,
  status TEXT NOT NULL DEFAULT 'active',
  current_route TEXT,
  current_step TEXT,
  collected_data JSONB,
  message_count INTEGER NOT NULL DEFAULT 0,
  last_message_at DATETIME,
  completed_at DATETIME,
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at DATETIME NOT NULL,
  life TEXT NOT NULL DEFAULT '',
  revision TEXT NOT NULL DEFAULT '',
  version TEXT NOT NULL DEFAULT '',
  first_sequence INTEGER NOT NULL DEFAULT 1,
  expires_at DATETIME,
  dirty BOOLEAN NOT NULL DEFAULT false,
  system TEXT NOT NULL DEFAULT ''
);

CREATE TABLE agent_messages (
  id TEXT NOT NULL PRIMARY KEY,
  session_id TEXT NOT NULL,
  user_id TEXT,
  role TEXT NOT NULL,
  content TEXT NOT NULL,
  route TEXT,
  step TEXT,
  tool_calls JSONB,
  event JSONB,
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  log TEXT NOT NULL DEFAULT '',
  sequence INTEGER NOT NULL DEFAULT 0,
  body TEXT NOT NULL DEFAULT '',
  CONSTRAINT agent_messages_session_id_fkey FOREIGN KEY (session_id) REFERENCES agent_sessions (id) ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE INDEX agent_sessions_user_id_status_idx ON agent_sessions (user_id, status);

CREATE INDEX agent_sessions_created_at_idx ON agent_sessions (created_at);

CREATE INDEX agent_sessions_expires_at_idx ON agent_sessions (expires_at);

CREATE UNIQUE INDEX agent_messages_session_id_sequence_log_key ON agent_messages (session_id, sequence, log);

CREATE TABLE agent_records (
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT,
  revision TEXT NOT NULL,
  stamp TEXT NOT NULL,
  place TEXT NOT NULL,
  PRIMARY KEY (scope, key)
);

CREATE INDEX agent_records_place_idx ON agent_records (place);
