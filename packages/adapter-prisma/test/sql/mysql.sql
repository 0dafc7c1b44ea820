CREATE TABLE agent_sessions (
  id VARCHAR(128) NOT NULL,
  user_id VARCHAR(255) NULL,
  agent_name VARCHAR(255) NULL,
  status VARCHAR(32) NOT NULL DEFAULT 'active',
  current_route TEXT NULL,
  current_step TEXT NULL,
  collected_data JSON NULL,
  message_count INTEGER NOT NULL DEFAULT 0,
  last_message_at DATETIME(3) NULL,
  completed_at DATETIME(3) NULL,
  created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  updated_at DATETIME(3) NOT NULL,
  life VARCHAR(191) NOT NULL DEFAULT '',
  revision VARCHAR(191) NOT NULL DEFAULT '',
  version VARCHAR(191) NOT NULL DEFAULT '',
  first_sequence INTEGER NOT NULL DEFAULT 1,
  expires_at DATETIME(3) NULL,
  dirty BOOLEAN NOT NULL DEFAULT false,
  system LONGTEXT NOT NULL,
  INDEX agent_sessions_user_id_status_idx (user_id, status),
  INDEX agent_sessions_created_at_idx (created_at),
  INDEX agent_sessions_expires_at_idx (expires_at),
  PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE agent_messages (
  id VARCHAR(191) NOT NULL,
  session_id VARCHAR(128) NOT NULL,
  user_id VARCHAR(255) NULL,
  role VARCHAR(191) NOT NULL,
  content LONGTEXT NOT NULL,
  route TEXT NULL,
  step TEXT NULL,
  tool_calls JSON NULL,
  event JSON NULL,
  created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  log VARCHAR(191) NOT NULL DEFAULT '',
  sequence INTEGER NOT NULL DEFAULT 0,
  body LONGTEXT NOT NULL,
  UNIQUE INDEX agent_messages_session_id_sequence_log_key (session_id, sequence, log),
  PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE agent_records (
  scope VARCHAR(256) NOT NULL,
  `key` VARCHAR(256) NOT NULL,
  value LONGTEXT NULL,
  revision VARCHAR(191) NOT NULL,
  stamp VARCHAR(191) NOT NULL,
  place VARCHAR(1026) NOT NULL,
  INDEX agent_records_place_idx (place(700)),
  PRIMARY KEY (scope, `key`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

ALTER TABLE agent_messages ADD CONSTRAINT agent_messages_session_id_fkey
  FOREIGN KEY (session_id) REFERENCES agent_sessions (id) ON DELETE CASCADE ON UPDATE CASCADE;
