CREATE TABLE public.admin_tokens (
    id text NOT NULL,
    name text NOT NULL,
    roles text NOT NULL,
    hashed text NOT NULL,
    created text NOT NULL,
    expires text NOT NULL,
    created_by text NOT NULL,
    revoked text,
    repositories text DEFAULT '[]'::text NOT NULL,
    agreed_by text DEFAULT ''::text NOT NULL
);
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.approvals (
    id text NOT NULL,
    route text NOT NULL,
    body text NOT NULL,
    request_id text NOT NULL,
    created text NOT NULL,
    expires text NOT NULL,
    note text NOT NULL,
    places text NOT NULL,
    plan text NOT NULL,
    who text NOT NULL,
    how text NOT NULL,
    token_id text NOT NULL,
    roles text NOT NULL,
    state text NOT NULL,
    given text NOT NULL,
    decided text,
    decided_by text
);
CREATE TABLE public.decisions (
    id text NOT NULL,
    at text NOT NULL,
    decision text NOT NULL
);
CREATE TABLE public.denials (
    id text NOT NULL,
    digest text,
    repositories text NOT NULL,
    reason text NOT NULL,
    by text NOT NULL,
    at text NOT NULL,
    until text
);
CREATE TABLE public.exceptions (
    id text NOT NULL,
    repositories text NOT NULL,
    digest text,
    unsigned_push boolean NOT NULL,
    reason text NOT NULL,
    by text NOT NULL,
    how text NOT NULL,
    opened text NOT NULL,
    until text NOT NULL,
    closed text,
    closed_by text NOT NULL,
    reviewed text,
    reviewed_by text NOT NULL,
    review text NOT NULL,
    offline boolean NOT NULL
);
CREATE TABLE public.jobs (
    id text NOT NULL,
    kind text NOT NULL,
    who text NOT NULL,
    how text NOT NULL,
    reason text NOT NULL,
    created text NOT NULL,
    asked text NOT NULL,
    repository text NOT NULL,
    state text NOT NULL,
    cursor text NOT NULL,
    note text NOT NULL,
    result text NOT NULL,
    not_before text,
    ended text,
    run bigint NOT NULL,
    tries bigint NOT NULL,
    done bigint NOT NULL,
    total bigint,
    cancel boolean NOT NULL
);
CREATE TABLE public.journal (
    "position" bigint NOT NULL,
    at text NOT NULL,
    last text NOT NULL,
    kind text NOT NULL,
    who text NOT NULL,
    how text NOT NULL,
    repository text NOT NULL,
    reference text NOT NULL,
    digest text NOT NULL,
    reason text NOT NULL,
    decision_id text NOT NULL,
    request_id text NOT NULL,
    policy_revision text NOT NULL,
    key_revision text NOT NULL,
    detail text NOT NULL,
    count bigint NOT NULL,
    tally text
);
CREATE SEQUENCE public.journal_position_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.journal_position_seq OWNED BY public.journal."position";
CREATE TABLE public.keys (
    id bigint NOT NULL,
    fingerprint text NOT NULL,
    profile text NOT NULL,
    token text NOT NULL,
    token_serial text NOT NULL,
    key_id text NOT NULL,
    label text NOT NULL,
    algorithm text NOT NULL,
    spki bytea NOT NULL,
    state text NOT NULL,
    since text NOT NULL,
    compromised_since text,
    chain text DEFAULT '[]'::text NOT NULL,
    activate_at text,
    signs_until text,
    retire_after text,
    backup_at text
);
CREATE SEQUENCE public.keys_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.keys_id_seq OWNED BY public.keys.id;
CREATE TABLE public.leases (
    name text NOT NULL,
    holder text NOT NULL,
    fence bigint NOT NULL,
    until text NOT NULL
);
CREATE TABLE public.ledger (
    id bigint NOT NULL,
    repository text NOT NULL,
    digest text NOT NULL,
    fingerprint text NOT NULL,
    format text NOT NULL,
    bound text NOT NULL,
    stage text NOT NULL,
    message bytea NOT NULL,
    signature bytea,
    claims text NOT NULL,
    artifact text,
    at text NOT NULL,
    "timestamp" bytea
);
CREATE SEQUENCE public.ledger_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ledger_id_seq OWNED BY public.ledger.id;
CREATE TABLE public.listed (
    repository text NOT NULL,
    digest text NOT NULL,
    role text NOT NULL,
    manifest_id bigint NOT NULL
);
CREATE TABLE public.manifests (
    id bigint NOT NULL,
    repository text NOT NULL,
    digest text NOT NULL,
    media_type text NOT NULL,
    size bigint NOT NULL,
    children text NOT NULL,
    blobs text NOT NULL,
    subject text,
    artifact boolean,
    passed text
);
CREATE SEQUENCE public.manifests_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.manifests_id_seq OWNED BY public.manifests.id;
CREATE TABLE public.policy_revisions (
    number bigint NOT NULL,
    hash text NOT NULL,
    parent text NOT NULL,
    body text NOT NULL,
    policies text NOT NULL,
    at text NOT NULL,
    who text NOT NULL,
    how text NOT NULL,
    reason text NOT NULL
);
CREATE TABLE public.revisions (
    kind text NOT NULL,
    revision text NOT NULL,
    body text NOT NULL
);
CREATE TABLE public.secrets (
    name text NOT NULL,
    value bytea NOT NULL
);
CREATE TABLE public.tags (
    repository text NOT NULL,
    tag text NOT NULL,
    digest text,
    at text NOT NULL,
    by text NOT NULL,
    how text NOT NULL,
    moving_to text,
    holder text,
    fence bigint NOT NULL,
    until text
);
CREATE TABLE public.unsigned_pushes (
    id bigint NOT NULL,
    repository text NOT NULL,
    digest text NOT NULL,
    tag text NOT NULL,
    exception text NOT NULL,
    who text NOT NULL,
    at text NOT NULL,
    settled text,
    tried text,
    note text NOT NULL
);
CREATE SEQUENCE public.unsigned_pushes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.unsigned_pushes_id_seq OWNED BY public.unsigned_pushes.id;
CREATE TABLE public.versions (
    name text NOT NULL,
    number bigint NOT NULL
);
ALTER TABLE ONLY public.journal ALTER COLUMN "position" SET DEFAULT nextval('public.journal_position_seq'::regclass);
ALTER TABLE ONLY public.keys ALTER COLUMN id SET DEFAULT nextval('public.keys_id_seq'::regclass);
ALTER TABLE ONLY public.ledger ALTER COLUMN id SET DEFAULT nextval('public.ledger_id_seq'::regclass);
ALTER TABLE ONLY public.manifests ALTER COLUMN id SET DEFAULT nextval('public.manifests_id_seq'::regclass);
ALTER TABLE ONLY public.unsigned_pushes ALTER COLUMN id SET DEFAULT nextval('public.unsigned_pushes_id_seq'::regclass);
INSERT INTO public.admin_tokens VALUES ('t1', 'ci', '["key-admin", "auditor"]', '0000000000000000000000000000000000000000000000000000000000000000', '2026-01-02T12:00:00.000000Z', '2026-01-02T13:00:00.000000Z', 'erika', NULL, '["team/**"]', 'max');
INSERT INTO public.alembic_version VALUES ('0044');
INSERT INTO public.approvals VALUES ('a1', 'rotate_key', '{"reason":"x"}', 'r', '2026-01-02T12:00:00.000000Z', '2026-01-02T13:00:00.000000Z', 'seen', '{"profile": "release"}', '["do it"]', 'erika', 'admin-token:a', 'a', '["key-admin"]', 'approved', '{"reason": "x"}', '2026-01-02T13:00:00.000000Z', '["max", "admin-token:b", "b"]');
INSERT INTO public.decisions VALUES ('d1', '2026-01-02T12:00:00.000000Z', '{"allowed":true,"at":"2026-01-02T12:00:00+00:00","binds_reference":false,"checks":[{"detail":"umlauts and \ud83d\udd0f too","name":"signed by release","outcome":"passed","reason":null}],"contact":"#platform-help","digest":"sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d","exception":null,"help_url":null,"id":"d1","key_revision":"k1","media_type":"application/vnd.oci.image.manifest.v1+json","mode":"enforce","outcome":"passed","policy_revision":"p1","reason":null,"reference":"latest","repository":"prod/app","signatures":[{"bound":"reg.example/prod/app","claims":{"pusher":"ann"},"fingerprint":"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","format":"cosign-simple","recorded":null}]}');
INSERT INTO public.denials VALUES ('n1', 'sha256:2f05d4b689d270cafb02285f35f44866f7dc8a2d368a3f9d1124373eeab31fb1', '**', 'leaked ☃', 'erika', '2026-01-02T12:00:00.000000Z', '2028-06-20T12:00:00.000000Z');
INSERT INTO public.denials VALUES ('n2', NULL, 'old/**', 'old', 'erika', '2026-01-02T12:00:00.000000Z', NULL);
INSERT INTO public.exceptions VALUES ('x1', 'prod/app', 'sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d', true, 'outage', 'erika', 'socket', '2026-01-02T12:00:00.000000Z', '2026-01-02T13:00:00.000000Z', NULL, '', NULL, '', '', true);
INSERT INTO public.exceptions VALUES ('x2', 'prod/app', NULL, true, 'outage', 'erika', 'socket', '2026-01-02T12:00:00.000000Z', '2026-01-02T13:00:00.000000Z', '2026-01-02T13:00:00.000000Z', 'max', '2026-01-02T13:00:00.000000Z', 'eve', 'fine', true);
INSERT INTO public.jobs VALUES ('j1', 'resign', 'erika', 'socket', 'new key', '2026-01-02T12:00:00.000000Z', '{"profile":"release"}', 'prod/app', 'running', 'after', 'note', '{"signed":[1,2]}', NULL, NULL, 2, 1, 3, 9, false);
INSERT INTO public.jobs VALUES ('j2', 'resign', 'erika', 'socket', 'new key', '2026-01-02T12:00:00.000000Z', '{"profile":"release"}', 'prod/app', 'done', 'after', 'note', '{}', '2026-01-02T12:00:00.000000Z', '2026-01-02T13:00:00.000000Z', 2, 1, 3, NULL, true);
INSERT INTO public.journal VALUES (1, '2026-01-02T12:00:00.000000Z', '2026-01-02T12:00:00.000000Z', 'server.started', 'countersign', '', '', '', '', '', '', '', '', '', '{"n":1,"umlauts":"\u2603"}', 1, NULL);
INSERT INTO public.journal VALUES (2, '2026-01-02T12:00:00.000000Z', '2026-01-02T12:00:00.000000Z', 'pull.denied', 'ann', 'token', 'prod/app', 'latest', 'sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d', '', 'd1', 'r1', 'p1', 'k1', '{}', 2, '4b040c41c353d15882a7afcdeb7d6db3174880aa15f2f42dcdad6e8e2c891216');
INSERT INTO public.journal VALUES (4, '2026-01-02T12:00:00.000000Z', '2026-01-02T12:00:00.000000Z', 'policy.changed', 'countersign', '', '', '', '', '', '', '', '', '', '{}', 1, NULL);
INSERT INTO public.journal VALUES (5, '2026-01-02T12:00:00.000000Z', '2026-01-02T12:00:00.000000Z', 'job.queued', 'countersign', '', '', '', '', '', '', '', '', '', '{}', 1, NULL);
INSERT INTO public.journal VALUES (6, '2026-01-02T12:00:00.000000Z', '2026-01-02T12:00:00.000000Z', 'job.queued', 'countersign', '', '', '', '', '', '', '', '', '', '{}', 1, NULL);
INSERT INTO public.journal VALUES (7, '2026-01-02T12:00:00.000000Z', '2026-01-02T12:00:00.000000Z', 'approval.asked', 'countersign', '', '', '', '', '', '', '', '', '', '{}', 1, NULL);
INSERT INTO public.keys VALUES (1, '972ba13ab550398cee694e42ade889c90a3f6db20f787aa4db14f566afd15494', 'release', 'hsm', '0001', 'abababababababababababababababab', 'release-1', 'ecdsa-p256', '\x73706b692000', 'trusted', '2026-01-02T12:00:00.000000Z', NULL, '["6c656166", "726f6f74"]', '2026-01-02T12:00:00.000000Z', '2026-01-02T13:00:00.000000Z', '2026-01-02T13:00:00.000000Z', '2026-01-02T12:00:00.000000Z');
INSERT INTO public.keys VALUES (2, '76f75e6129fe30135bd44d80ab7cc46fdba81907758dc808f3e2517beef2b1e9', 'release', 'hsm', '0001', 'abababababababababababababababab', 'release-1', 'ecdsa-p256', '\x6c6f7374', 'compromised', '2026-01-02T12:00:00.000000Z', '2026-01-02T12:00:00.000000Z', '[]', '2026-01-02T12:00:00.000000Z', '2026-01-02T13:00:00.000000Z', '2026-01-02T13:00:00.000000Z', NULL);
INSERT INTO public.leases VALUES ('jobs', 'another', 1, '2026-01-02T12:01:00.000000Z');
INSERT INTO public.ledger VALUES (1, 'prod/app', 'sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d', 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', 'cosign-simple', 'reg.example/prod/app', 'signed', '\x6d6573736167652000ff', '\x3000', '{"pusher":"ann"}', NULL, '2026-01-02T12:00:00.000000Z', '\x3001');
INSERT INTO public.listed VALUES ('prod/app', 'sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d', 'child', 1);
INSERT INTO public.listed VALUES ('prod/app', 'sha256:7dc96f776c8423e57a2785489a3f9c43fb6e756876d6ad9a9cac4aa4e72ec193', 'blob', 1);
INSERT INTO public.listed VALUES ('prod/app', 'sha256:4814d92093ac8a0f4a2163ab87dee509ba306a58f5888be0edcb2fcd0712028b', 'blob', 1);
INSERT INTO public.manifests VALUES (1, 'prod/app', 'sha256:1bc04b5291c26a46d918139138b992d2de976d6851d0893b0476b85bfbdfc6e6', 'application/vnd.oci.image.manifest.v1+json', 512, '["sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"]', '["sha256:7dc96f776c8423e57a2785489a3f9c43fb6e756876d6ad9a9cac4aa4e72ec193","sha256:4814d92093ac8a0f4a2163ab87dee509ba306a58f5888be0edcb2fcd0712028b"]', 'sha256:a9491f4c1bf7b0cffbadcba2db8f028e4b3f2867cb59e1f3a0bc1968f3c51242', false, '2026-01-02T12:00:00.000000Z');
INSERT INTO public.policy_revisions VALUES (1, '7ea6bd434285793122465c67a18286a6b7b92abe4044e1854edc71998e8716dc', '', 'policies: []  # ☃
', 'p1', '2026-01-02T12:00:00.000000Z', 'erika', 'admin-token:a', 'first');
INSERT INTO public.revisions VALUES ('keybook', 'eb7a4c35ebe9f0763d880f21aef13573c35c2031a9f60635ffcdf8c0e8e56fee', '{"ours":[],"trusted":[]}');
INSERT INTO public.revisions VALUES ('keybook', 'bda1b2d377ebdd00cae9bc65215a65797659913554d882c994d47498511f89b9', '{"ours":[{"activate_at":"2026-01-02T12:00:00.000000+00:00","algorithm":"ecdsa-p256","backup_at":"2026-01-02T12:00:00.000000+00:00","chain":["6c656166","726f6f74"],"compromised_since":null,"fingerprint":"972ba13ab550398cee694e42ade889c90a3f6db20f787aa4db14f566afd15494","key_id":"abababababababababababababababab","label":"release-1","profile":"release","retire_after":"2026-01-02T13:00:00.000000+00:00","signs_until":"2026-01-02T13:00:00.000000+00:00","since":"2026-01-02T12:00:00.000000+00:00","spki":"73706b692000","state":"trusted","token":"hsm","token_serial":"0001"}],"trusted":[]}');
INSERT INTO public.revisions VALUES ('keybook', 'a35e87740bcaadf173eb83ee35cf52371ba00812ad3a15648cd1c7eb8df531e2', '{"ours":[{"activate_at":"2026-01-02T12:00:00.000000+00:00","algorithm":"ecdsa-p256","backup_at":null,"chain":[],"compromised_since":"2026-01-02T12:00:00.000000+00:00","fingerprint":"76f75e6129fe30135bd44d80ab7cc46fdba81907758dc808f3e2517beef2b1e9","key_id":"abababababababababababababababab","label":"release-1","profile":"release","retire_after":"2026-01-02T13:00:00.000000+00:00","signs_until":"2026-01-02T13:00:00.000000+00:00","since":"2026-01-02T12:00:00.000000+00:00","spki":"6c6f7374","state":"compromised","token":"hsm","token_serial":"0001"},{"activate_at":"2026-01-02T12:00:00.000000+00:00","algorithm":"ecdsa-p256","backup_at":"2026-01-02T12:00:00.000000+00:00","chain":["6c656166","726f6f74"],"compromised_since":null,"fingerprint":"972ba13ab550398cee694e42ade889c90a3f6db20f787aa4db14f566afd15494","key_id":"abababababababababababababababab","label":"release-1","profile":"release","retire_after":"2026-01-02T13:00:00.000000+00:00","signs_until":"2026-01-02T13:00:00.000000+00:00","since":"2026-01-02T12:00:00.000000+00:00","spki":"73706b692000","state":"trusted","token":"hsm","token_serial":"0001"}],"trusted":[]}');
INSERT INTO public.revisions VALUES ('policy', 'p1', '[]');
INSERT INTO public.secrets VALUES ('uploads', '\xf2c12158d31eb2314c0b99b1e04dfe61d73c6383f8f4081b5aac66c5ccf1046d');
INSERT INTO public.tags VALUES ('prod/app', 'v1', 'sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d', '2026-01-02T12:00:00.000000Z', 'ann', 'password', 'sha256:c6c1c9a9c8543f1e4cd980064cf1625eeb61a90703b2464fff039f21682508b3', NULL, 1, NULL);
INSERT INTO public.unsigned_pushes VALUES (1, 'prod/app', 'sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d', 'v1', 'x1', 'ann', '2026-01-02T12:00:00.000000Z', NULL, '2026-01-02T13:00:00.000000Z', 'upstream answered 500');
INSERT INTO public.unsigned_pushes VALUES (2, 'prod/other', 'sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d', '', 'x1', 'ann', '2026-01-02T13:00:00.000000Z', '2026-01-02T13:00:00.000000Z', '2026-01-02T13:00:00.000000Z', '');
INSERT INTO public.versions VALUES ('keybook', 2);
INSERT INTO public.versions VALUES ('interventions', 4);
INSERT INTO public.versions VALUES ('owed', 1);
INSERT INTO public.versions VALUES ('policy', 1);
SELECT pg_catalog.setval('public.journal_position_seq', 7, true);
SELECT pg_catalog.setval('public.keys_id_seq', 2, true);
SELECT pg_catalog.setval('public.ledger_id_seq', 1, true);
SELECT pg_catalog.setval('public.manifests_id_seq', 1, true);
SELECT pg_catalog.setval('public.unsigned_pushes_id_seq', 2, true);
ALTER TABLE ONLY public.admin_tokens
    ADD CONSTRAINT admin_tokens_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.approvals
    ADD CONSTRAINT approvals_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.decisions
    ADD CONSTRAINT decisions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.denials
    ADD CONSTRAINT denials_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.exceptions
    ADD CONSTRAINT exceptions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.journal
    ADD CONSTRAINT journal_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.journal
    ADD CONSTRAINT journal_tally_key UNIQUE (tally);
ALTER TABLE ONLY public.keys
    ADD CONSTRAINT keys_fingerprint_key UNIQUE (fingerprint);
ALTER TABLE ONLY public.keys
    ADD CONSTRAINT keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_same_signature UNIQUE (repository, digest, fingerprint, format, bound);
ALTER TABLE ONLY public.listed
    ADD CONSTRAINT listed_pkey PRIMARY KEY (repository, digest, role, manifest_id);
ALTER TABLE ONLY public.manifests
    ADD CONSTRAINT manifests_once UNIQUE (repository, digest);
ALTER TABLE ONLY public.manifests
    ADD CONSTRAINT manifests_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.policy_revisions
    ADD CONSTRAINT policy_revisions_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.revisions
    ADD CONSTRAINT revisions_pkey PRIMARY KEY (kind, revision);
ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT secrets_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_pkey PRIMARY KEY (repository, tag);
ALTER TABLE ONLY public.unsigned_pushes
    ADD CONSTRAINT unsigned_pushes_once UNIQUE (repository, digest, tag);
ALTER TABLE ONLY public.unsigned_pushes
    ADD CONSTRAINT unsigned_pushes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.versions
    ADD CONSTRAINT versions_pkey PRIMARY KEY (name);
CREATE INDEX jobs_by_state ON public.jobs USING btree (state, created);
CREATE INDEX journal_by_digest ON public.journal USING btree (digest, "position");
CREATE INDEX journal_by_kind ON public.journal USING btree (kind, "position");
CREATE INDEX journal_by_repository ON public.journal USING btree (repository, "position");
CREATE INDEX ledger_by_bound ON public.ledger USING btree (repository, bound);
CREATE INDEX listed_by_manifest ON public.listed USING btree (manifest_id);
CREATE INDEX manifests_passed ON public.manifests USING btree (repository, passed) WHERE (passed IS NOT NULL);
CREATE INDEX tags_by_digest ON public.tags USING btree (repository, digest);
CREATE INDEX tags_moving ON public.tags USING btree (moving_to) WHERE (moving_to IS NOT NULL);
