//! Every limit, with its reason. A queue, a length or a count that a peer can drive has one.

use std::time::Duration;

/// One MQTT packet. Telemetry is small; a batch upload belongs on HTTP.
pub const MQTT_PACKET_BYTES_MAX: usize = 1 << 20;
/// An MQTT packet before the client has authenticated: a CONNECT with a long client id, user, token and will fits.
pub const MQTT_CONNECT_BYTES_MAX: usize = 4 << 10;
/// How long a socket may stay silent before its CONNECT is complete.
pub const MQTT_CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);
/// Keep-alive that the server asks of a client which asks for more or for none (MQTT 5 Server Keep Alive): a dead peer
/// holds its memory no longer than one and a half of it.
pub const MQTT_KEEP_ALIVE_MAX: Duration = Duration::from_secs(3600);
/// Publishes with QoS 1 and 2 that one connection may have unacknowledged (Receive Maximum).
pub const MQTT_RECEIVE_MAX: u16 = 1024;
/// Topic aliases that one connection may define.
pub const MQTT_TOPIC_ALIAS_MAX: u16 = 16;
/// How long a session without connection is kept, whatever the client asks for.
pub const MQTT_SESSION_EXPIRY_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Sessions kept without a connection; past it the one that is away longest goes.
pub const MQTT_SESSIONS_MAX: usize = 1_000_000;
/// MQTT 3.1.1 lets a server refuse longer client ids than 23 bytes; this is what real fleets use, doubled.
pub const MQTT_CLIENT_ID_BYTES_MAX: usize = 256;
/// A topic; beyond it routing costs more than the message.
pub const TOPIC_BYTES_MAX: usize = 1024;
/// Levels of a topic: no recursion anywhere, but bounded all the same.
pub const TOPIC_LEVELS_MAX: usize = 32;

/// An HTTP request body as it arrives.
pub const HTTP_BODY_BYTES_MAX: usize = 8 << 20;
/// An HTTP request body after decompression: a bomb stops here.
pub const HTTP_INFLATED_BYTES_MAX: usize = 64 << 20;
/// How long a client may take to send its request's head.
pub const HTTP_HEADER_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a request may take from its head to the answer.
pub const HTTP_REQUEST_WAIT_MAX: Duration = Duration::from_secs(30);
/// HTTP connections at once.
pub const HTTP_CONNECTIONS_MAX: usize = 4096;
/// MQTT connections at once; the descriptor limit may be lower.
pub const MQTT_CONNECTIONS_MAX: usize = 1_000_000;

/// One payload in the journal: the largest MQTT packet or the largest message array of an HTTP body after splitting.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// A batch stops growing here. It is what one commit writes when the disk is slow: 2 MiB keep it efficient, and eight
/// commits in flight stay small in memory.
pub const BATCH_BYTES_MAX: usize = 2 << 20;
/// Bindings that are added to one batch: those of tens of thousands of devices with usual tags, and of hundreds with the
/// longest. A batch, its bindings, and those again if it opens a segment, stay far below a segment.
pub const BATCH_BINDING_BYTES_MAX: usize = 8 << 20;
/// While a commit slot is free, a batch is committed once it has this size: larger ones add latency and gain nothing.
pub const BATCH_COMMIT_BYTES: usize = 32 << 10;
/// Memory that a batch's buffer begins with: a commit of that size and what one more read of a socket adds to it. One
/// that grew step by step would be copied, and cost fresh memory, at every step.
pub const BATCH_BUFFER_BYTES: usize = 64 << 10;
/// While a commit slot is free, a batch is committed at this age although another one is on its way: a slow disk has
/// several on its way. An undisturbed commit takes a fifth of it, so on a fast disk most batches share their commit.
pub const BATCH_COMMIT_WAIT: Duration = Duration::from_millis(1);
/// Commits in flight per partition.
pub const COMMITS_IN_FLIGHT_MAX: usize = 8;
/// Payloads in one batch: offsets within it fit 20 bits.
pub const BATCH_PAYLOADS_MAX: u32 = 1 << 20;

/// Messages in one payload that is an array.
pub const MESSAGES_PER_PAYLOAD_MAX: usize = 10_000;
/// Metrics in one message.
pub const METRICS_PER_MESSAGE_MAX: usize = 1024;
/// A metric's name. Letters, digits and `_ - . / :`; other characters would have to be escaped everywhere.
pub const METRIC_NAME_BYTES_MAX: usize = 128;
/// A metric's value that is a string: a status word, not a document (that is an event).
pub const METRIC_TEXT_BYTES_MAX: usize = 1024;
/// Tags of one message.
pub const TAGS_PER_MESSAGE_MAX: usize = 16;
/// The name or the value of a tag.
pub const TAG_BYTES_MAX: usize = 128;
/// Nesting of a payload. A message needs three levels; an event may nest its data.
pub const PAYLOAD_DEPTH_MAX: usize = 32;
/// An event's `type`.
pub const EVENT_TYPE_BYTES_MAX: usize = 128;
/// Distinct metrics of one class: beyond it a metric is rejected (`metric-limit`), so that a device that invents names
/// cannot fill the memory of a class.
pub const METRICS_PER_CLASS_MAX: usize = 10_000;
/// Columns of one block; a class with more spills the rest into a narrow block.
pub const COLUMNS_PER_BLOCK_MAX: usize = 256;

/// Device indices in one data directory: 4 million devices with a few classes each.
pub const DEVICE_INDICES_MAX: u32 = 1 << 24;
/// Devices that an API key named lately and the gateway knows, twice over: a fleet of 4 million stays known, in at most
/// 240 MiB.
pub const KNOWN_DEVICES_MAX: usize = 1 << 21;
/// Devices heard of whose `last_seen_at` is not written yet: a fleet of a million, in 40 MiB. One that does not fit is
/// seen at a later message.
pub const DEVICES_HEARD_MAX: usize = 1 << 20;
/// The window in which a re-send is recognised, in receive time.
pub const DEDUP_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Recent messages without seq, or with seq and neither ts nor boot, that one device's new one is compared with.
pub const DEDUP_RECENT_MAX: usize = 128;
/// Runs of consecutive seqs that one device's window may hold: a device that loses 2 % of its messages at one a second
/// needs this many. Beyond it the oldest are forgotten: a re-send of those is stored again, never a message lost.
pub const DEDUP_RUNS_PER_DEVICE_MAX: usize = 4096;
/// Runs that the windows of one partition may hold (16 bytes each) before devices are cut down to
/// [`DEDUP_RUNS_PER_DEVICE_MIN`], so that a fleet with random seqs stays within 256 MiB.
pub const DEDUP_RUNS_MAX: usize = 1 << 24;
/// Runs that a device keeps whatever the others do.
pub const DEDUP_RUNS_PER_DEVICE_MIN: usize = 64;

/// Raw bytes between the journal's end and the pipeline's or the store's position at which ingest is slowed.
pub const LAG_BYTES_MAX: u64 = 256 << 20;
/// How long a connection is paused under overload before it is refused (0x97, 429).
pub const OVERLOAD_PAUSE_MAX: Duration = Duration::from_secs(10);
/// Free disk kept for sealing, trimming and the registry; below it ingest is refused.
pub const DISK_RESERVE_BYTES: u64 = 512 << 20;
/// Memory of the tail of a log, for live readers.
pub const TAIL_BYTES_MAX: usize = 64 << 20;
/// Size of one journal segment.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// `raw` that is kept behind what is sealed, for cursors and for repair; whichever of size and age is less.
pub const RETENTION_BYTES: u64 = 10 << 30;
pub const RETENTION_AGE: Duration = Duration::from_secs(24 * 3600);
/// Dead letters kept per data directory; the oldest go first.
pub const DEAD_LETTER_BYTES: u64 = 1 << 30;
/// Age up to which dead letters are kept: time to notice, to mend a schema and to replay.
pub const DEAD_LETTER_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// What a dead letter counts against its tenant's quota beside its payload: about what is stored of it.
pub const DEAD_LETTER_OVERHEAD_BYTES: u64 = 200;
/// Dead letters whose tries are known at once, some 80 MB of memory; of older ones it is forgotten that they were tried.
pub const LETTERS_TRIED_MAX: usize = 1_000_000;
/// Dead letters that one request replays, and bytes of their payloads; a cursor goes on from there.
pub const REPLAY_LETTERS_MAX: usize = 10_000;
pub const REPLAY_LETTER_BYTES_MAX: usize = 32 << 20;

/// Rows in one page of the head: small classes stay small, large ones take many.
pub const HEAD_PAGE_ROWS: usize = 4096;
/// Rows in one chunk of the head, so in one block: at least 50 rows for each of 20,000 devices.
pub const HEAD_CHUNK_ROWS: usize = 1 << 20;
/// Memory for the head's pages, frozen chunks included: four seconds at full rate, so that sealing may stall for a while.
pub const HEAD_BYTES_MAX: usize = 1 << 30;
/// Memory for what is known of blocks that were read lately: directories and metadata, and the latest values and rollups that
/// were asked for. For 1,000 devices a block takes some 300 KB of it, for 20,000 devices 3 MB.
pub const BLOCK_CACHE_BYTES: usize = 256 << 20;
/// Raw bytes behind unsealed rows at which everything is sealed: about a second of replay.
pub const REPLAY_BYTES_MAX: u64 = 256 << 20;
/// Age at which a chunk is sealed however small it is.
pub const HEAD_CHUNK_AGE_MAX: Duration = Duration::from_secs(600);

/// Raw points or buckets in one answer; `next` continues.
pub const QUERY_POINTS_MAX: usize = 10_000;
/// Rows that one query may read before it is refused with the advice to narrow it.
pub const QUERY_ROWS_MAX: u64 = 200_000_000;
/// Values up to which a percentile is exact.
pub const PERCENTILE_EXACT_MAX: usize = 1_000_000;
/// How long one query may take.
pub const QUERY_WAIT_MAX: Duration = Duration::from_secs(30);
/// Queries that run at once; more wait, bounded by [`QUERY_WAIT_MAX`].
pub const QUERIES_AT_ONCE_MAX: usize = 8;

/// Rows of a list (devices, keys, dead letters) in one answer.
pub const LIST_ROWS_MAX: usize = 1000;
/// A device's metadata, as JSON.
pub const METADATA_BYTES_MAX: usize = 16 << 10;
/// Names of tenants, classes and keys.
pub const NAME_BYTES_MAX: usize = 128;

/// A schema's text. Larger ones are documents, not descriptions of messages.
pub const SCHEMA_BYTES_MAX: usize = 512 << 10;
/// A schema's text and all that it refers to, together.
pub const SCHEMA_WITH_REFERENCES_BYTES_MAX: usize = 2 << 20;
/// References of one schema, those of its references included.
pub const SCHEMA_REFERENCES_MAX: usize = 32;
/// Fields of one message type: as many as a message may have metrics.
pub const SCHEMA_FIELDS_MAX: usize = METRICS_PER_MESSAGE_MAX;
/// Constants of one enum: each is compared with the values of messages.
pub const SCHEMA_CONSTANTS_MAX: usize = 1024;
/// Aliases of one name: each is a name that it had once.
pub const SCHEMA_ALIASES_MAX: usize = 64;
/// Nesting of a schema's types, and of its text.
pub const SCHEMA_DEPTH_MAX: usize = 32;
/// Nodes of a schema that are looked at for one answer (expanded types, pairs that are compared): beyond it the answer is a
/// refusal that says so.
pub const SCHEMA_NODES_MAX: usize = 100_000;
/// A default value, as JSON.
pub const SCHEMA_DEFAULT_BYTES_MAX: usize = 4 << 10;
/// A regular expression in a schema; all of a schema's together take at most 16 times this.
pub const SCHEMA_PATTERN_BYTES_MAX: usize = 1 << 10;
/// What a regular expression takes when it is compiled: `^.{1,64}$` takes 90 KiB, `(a{100}){100}` far more.
pub const SCHEMA_PATTERN_COMPILED_BYTES_MAX: usize = 256 << 10;
/// What all different ones of a schema take together: a thousand of the usual kind (`^[A-Z]{2}-[0-9]{4}$`: 2 to 4 KiB).
pub const SCHEMA_PATTERNS_COMPILED_BYTES_MAX: usize = 4 << 20;
/// What one may take beside that for the states of its automaton that were seen: with more it is matched without them.
pub const SCHEMA_PATTERN_DFA_BYTES_MAX: usize = 32 << 10;
/// A subject's name: clients make it of a topic's and a record's.
pub const SCHEMA_SUBJECT_BYTES_MAX: usize = TOPIC_BYTES_MAX;
/// Versions of one subject.
pub const SCHEMA_VERSIONS_MAX: usize = 1_000;
/// Ids of one tenant that an external registry does not know, and of which the log says so: any device can make one up.
pub const UNKNOWN_SCHEMA_IDS_MAX: usize = 1_000;
/// Schemas (texts) of one tenant.
pub const SCHEMAS_PER_TENANT_MAX: usize = 10_000;
/// A UCUM code.
pub const UNIT_BYTES_MAX: usize = 64;
/// An expression of a computed metric, and how deep it may nest.
pub const EXPRESSION_BYTES_MAX: usize = 512;
pub const EXPRESSION_DEPTH_MAX: usize = 32;
/// Computed metrics and canonical units of one class.
pub const COMPUTED_PER_CLASS_MAX: usize = 64;
pub const UNITS_PER_CLASS_MAX: usize = 1_024;
