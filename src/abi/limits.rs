//! Every limit that the library holds, with its reason.

/// Pairs in a map that a guest hands over: as many as Envoy takes.
pub const MAX_PAIRS: usize = 1024;

/// Bytes of a serialized map that a guest hands over: as many as Envoy takes.
pub const MAX_PAIRS_BYTES: usize = 1 << 20;

/// Bytes of one line that a guest writes to stdout or stderr before it is
/// logged unfinished: nginx cuts error.log lines at 2048 anyway.
pub const MAX_WASI_LINE: usize = 2048;

/// Bytes that one `random_get` gives: as Envoy.
pub const MAX_RANDOM_BYTES: usize = 64 << 10;

/// Bytes of the answer of a callout, body and head together.
pub const MAX_CALLOUT_RESPONSE: usize = 16 << 20;

/// Upstreams that a plugin was refused, each with one line in the log: a
/// hostile guest must not fill it.
pub const MAX_DENIED: usize = 16;

/// Milliseconds for which a node that could not be reached comes after the
/// other nodes of its upstream: as nginx's `fail_timeout`.
pub const NODE_REST_MS: u32 = 10_000;

/// Bytes of a response body held back while a plugin pauses it, where the
/// plugin's options say nothing else.
pub const MAX_HELD_RESPONSE_BODY: usize = 16 << 20;

/// Metric names are kept for the life of the worker.
pub const MAX_METRIC_NAME: usize = 256;

/// Metrics of one plugin: a hostile guest must not fill the worker's memory.
pub const MAX_METRICS: usize = 10_000;

/// A paused request waits this long before it is answered with 504
/// (milliseconds), where the plugin's options say nothing else.
pub const DEFAULT_PAUSE_TIMEOUT_MS: u32 = 60_000;

/// Bytes of linear memory of one instance. A native Go plugin starts with
/// tens of MiB; a WAF with its rules takes some hundred.
pub const MAX_MEMORY: usize = 1 << 30;

/// Elements of one table: the largest real plugins have some ten thousand.
pub const MAX_TABLE_ELEMENTS: usize = 1_000_000;

/// Bytes of a key of shared data: lua-nginx-module's own limit is 65,535, and
/// the scope and the version stand beside it.
pub const MAX_SHARED_KEY: usize = 32 << 10;

/// Bytes of a value of shared data or of an item in a queue.
pub const MAX_SHARED_VALUE: usize = 1 << 20;

/// Bytes of a queue's name.
pub const MAX_QUEUE_NAME: usize = 1024;

/// Milliseconds between two looks at a number that says whether anything was
/// enqueued: 20 times a second, while a queue is registered.
pub const QUEUE_POLL_MS: u32 = 50;

/// Calls of `proxy_on_queue_ready` that one look may lead to, per queue: the
/// worker has requests, too.
pub const MAX_QUEUE_NEWS: u64 = 1000;

/// Milliseconds until a plugin that lives by its timers gets a new instance.
pub const REVIVE_AFTER_MS: u32 = 1000;

/// Queues of all plugins: their counters are never removed.
pub const MAX_QUEUES: u32 = 10_000;

/// Bytes that `uncompress` gives: a few hundred may stand for a billion.
pub const MAX_UNCOMPRESSED: usize = 16 << 20;

/// Bytes of a stack for calls that may wait for a Lua function: what a guest
/// may use (512 KiB), and beyond it what the host functions need that it
/// calls. Only what was touched takes memory.
pub const WAITING_STACK: usize = 2 << 20;

/// Such stacks that are kept for the next call.
pub const MAX_IDLE_STACKS: usize = 16;
