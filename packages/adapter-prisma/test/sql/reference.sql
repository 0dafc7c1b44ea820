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
  CONSTRAINT agent_messages_pkey PRIMARY KEY (id)
);

CREATE INDEX agent_sessions_user_id_status_idx ON agent_sessions (user_id, status);

CREATE INDEX agent_messages_session_id_idx ON agent_messages (session_id);

ALTER TABLE agent_messages ADD CONSTRAINT agent_messages_session_id_fkey
  FOREIGN KEY (session_id) REFERENCES agent_sessions (id) ON DELETE CASCADE ON UPDATE CASCADE;
