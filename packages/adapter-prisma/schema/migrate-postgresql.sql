-- Brings tables of an earlier schema, which had the columns up to `updated_at` and `created_at`, to the one of this package, and
-- what they hold with them. Run it as one transaction while nobody writes; with Prisma, as the text of a migration of your own.

DO $$
BEGIN
  IF EXISTS (SELECT FROM agent_sessions WHERE collected_data::text ~ '"~[^"]*":')
    OR EXISTS (SELECT FROM agent_messages WHERE concat(tool_calls, event) ~ '"~[^"]*":')
  THEN
    RAISE EXCEPTION 'a key in collected_data, tool_calls or event begins with "~", which has a meaning of its own now';
  END IF;
  IF EXISTS (SELECT FROM agent_messages WHERE role NOT IN ('user', 'assistant', 'agent', 'system', 'tool')) THEN
    RAISE EXCEPTION 'a message has a role other than user, assistant, agent, system and tool';
  END IF;
END $$;

ALTER TABLE agent_sessions
  ADD COLUMN life text NOT NULL DEFAULT '',
  ADD COLUMN revision text NOT NULL DEFAULT '',
  ADD COLUMN version text NOT NULL DEFAULT '',
  ADD COLUMN first_sequence integer NOT NULL DEFAULT 1,
  ADD COLUMN expires_at timestamp(3),
  ADD COLUMN dirty boolean NOT NULL DEFAULT false,
  ADD COLUMN system text NOT NULL DEFAULT '';

ALTER TABLE agent_messages
  ADD COLUMN log text NOT NULL DEFAULT '',
  ADD COLUMN sequence integer NOT NULL DEFAULT 0,
  ADD COLUMN body text NOT NULL DEFAULT '';

UPDATE agent_sessions SET
  life = replace(gen_random_uuid()::text, '-', ''),
  revision = replace(gen_random_uuid()::text, '-', ''),
  status = CASE WHEN status IN ('completed', 'abandoned') THEN status ELSE 'active' END,
  system = '{"pending":[],"operations":[],"count":0}';

UPDATE agent_sessions SET version = life || '.0';

-- The order that messages had until now becomes their number.
UPDATE agent_messages m SET
  log = s.life,
  sequence = numbered.sequence,
  role = CASE m.role WHEN 'agent' THEN 'assistant' ELSE m.role END,
  body = (
    CASE WHEN m.route IS NULL THEN '{}' ELSE jsonb_build_object('route', m.route) END
    || CASE WHEN m.step IS NULL THEN '{}' ELSE jsonb_build_object('step', m.step) END
    || CASE WHEN jsonb_typeof(m.tool_calls) = 'array' THEN jsonb_build_object('toolCalls', m.tool_calls) ELSE '{}' END
    || CASE WHEN m.event IS NULL THEN '{}' ELSE jsonb_build_object('event', m.event) END
  )::text
FROM agent_sessions s, (
  SELECT id, row_number() OVER (PARTITION BY session_id ORDER BY created_at, id) AS sequence FROM agent_messages
) numbered
WHERE m.session_id = s.id AND m.id = numbered.id;

UPDATE agent_sessions s SET
  message_count = coalesce(said.count, 0),
  last_message_at = coalesce(said.last, s.last_message_at)
FROM agent_sessions every
LEFT JOIN (
  SELECT session_id, count(*)::integer AS count, max(created_at) AS last FROM agent_messages GROUP BY session_id
) said ON said.session_id = every.id
WHERE s.id = every.id;

-- What was collected becomes a whole state: `collected_data` was either one, or the data alone.
UPDATE agent_sessions s SET collected_data = jsonb_build_object(
    'data', state.data,
    'dataByRoute', CASE WHEN jsonb_typeof(whole.value -> 'dataByRoute') = 'object' THEN whole.value -> 'dataByRoute' ELSE '{}' END,
    'routeHistory', state.history,
    'historyBefore', 0
  )
  || CASE WHEN s.current_route IS NULL THEN '{}'
    ELSE jsonb_build_object('currentRoute', jsonb_build_object('id', s.current_route)) END
  || CASE WHEN s.current_step IS NULL THEN '{}'
    ELSE jsonb_build_object('currentStep', jsonb_build_object('id', s.current_step)) END
  || CASE WHEN jsonb_typeof(whole.value -> 'metadata') = 'object'
    THEN jsonb_build_object('metadata', (whole.value -> 'metadata') - 'createdAt' - 'updatedAt') ELSE '{}' END
FROM agent_sessions every
CROSS JOIN LATERAL (
  SELECT CASE WHEN jsonb_typeof(every.collected_data -> 'data') = 'object'
    AND (every.collected_data ? 'dataByRoute' OR every.collected_data ? 'routeHistory')
    THEN every.collected_data END AS value
) whole
CROSS JOIN LATERAL (
  SELECT
    CASE WHEN whole.value IS NOT NULL THEN whole.value -> 'data'
      WHEN jsonb_typeof(every.collected_data) = 'object' THEN every.collected_data ELSE '{}' END AS data,
    (
      SELECT coalesce(jsonb_agg(
          jsonb_build_object(
            'routeId', entry ->> 'routeId',
            'enteredAt', jsonb_build_object('~date', to_char((entry ->> 'enteredAt')::timestamptz AT TIME ZONE 'UTC',
              'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')),
            'completed', coalesce(entry -> 'completed' = 'true', false)
          )
          || CASE WHEN entry ->> 'exitedAt' IS NULL THEN '{}' ELSE jsonb_build_object('exitedAt',
              jsonb_build_object('~date', to_char((entry ->> 'exitedAt')::timestamptz AT TIME ZONE 'UTC',
                'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))) END
          ORDER BY place
        ), '[]')
      FROM jsonb_array_elements(CASE WHEN jsonb_typeof(whole.value -> 'routeHistory') = 'array'
        THEN whole.value -> 'routeHistory' ELSE '[]' END) WITH ORDINALITY AS h (entry, place)
      WHERE entry ->> 'routeId' IS NOT NULL AND entry ->> 'enteredAt' IS NOT NULL
    ) AS history
) state
WHERE s.id = every.id;

CREATE INDEX agent_sessions_created_at_idx ON agent_sessions (created_at);

CREATE INDEX agent_sessions_expires_at_idx ON agent_sessions (expires_at);

DROP INDEX IF EXISTS agent_messages_session_id_idx;

CREATE UNIQUE INDEX agent_messages_session_id_sequence_log_key ON agent_messages (session_id, sequence, log);

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
