CREATE TABLE agent_sessions (
  id text NOT NULL,
  user_id text,
  agent_name text,
  status text NOT NULL DEFAULT 'active',
  current_route text,
  current_step text,
  collected_data jsonb,
  message_count integer NOT NULL DEFAULT 0,
  last_message_at timestamp(3),
  completed_at timestamp(3),
  created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamp(3) NOT NULL,
  life text NOT NULL DEFAULT '',
  revision text NOT NULL DEFAULT '',
  version text NOT NULL DEFAULT '',
  first_sequence integer NOT NULL DEFAULT 1,
  expires_at timestamp(3),
  dirty boolean NOT NULL DEFAULT false,
  system text NOT NULL DEFAULT '',
  CONSTRAINT agent_sessions_pkey PRIMARY KEY (id)
);

CREATE TABLE agent_messages (
  id text NOT NULL,
  session_id text NOT NULL,
  user_id text,
  role text NOT NULL,
  content text NOT NULL,
  route text,
  step text,
  tool_calls jsonb,
  event jsonb,
  created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  log text NOT NULL DEFAULT '',
  sequence integer NOT NULL DEFAULT 0,
  body text NOT NULL DEFAULT '',
  CONSTRAINT agent_messages_pkey PRIMARY KEY (id)
);

CREATE INDEX agent_sessions_user_id_status_idx ON agent_sessions (user_id, status);

CREATE INDEX agent_sessions_created_at_idx ON agent_sessions (created_at);

CREATE INDEX agent_sessions_expires_at_idx ON agent_sessions (expires_at);

CREATE UNIQUE INDEX agent_messages_session_id_sequence_log_key ON agent_messages (session_id, sequence, log);

ALTER TABLE agent_messages ADD CONSTRAINT agent_messages_session_id_fkey
  FOREIGN KEY (session_id) REFERENCES agent_sessions (id) ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TABLE agent_records (
  scope text NOT NULL,
  key text NOT NULL,
  value text,
  revision text NOT NULL,
  stamp text NOT NULL,
  place text NOT NULL,
  CONSTRAINT agent_records_pkey PRIMARY KEY (scope, key)
);

CREATE INDEX agent_records_place_idx ON agent_records (place);
