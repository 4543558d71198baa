//! Every limit that the library holds, with its reason.

/// What an operator may set for each plugin, by the options of these names
/// with `max_` before them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// HTTP callouts in flight, per worker: as many requests as a cluster of
    /// Envoy's takes. Each has a connection of nginx's.
    pub callouts: u32,
    /// Http contexts alive, per worker: more requests than any but the largest
    /// gateways have in one worker, and some ten MiB of the library's memory.
    pub contexts: u32,
    /// Lines of the log within one second, per worker: the file is everybody's,
    /// and each line is a system call. What is over it is counted and told.
    pub log_lines: u32,
    /// Bytes of a body after the plugin has written to it, or of one that it
    /// makes: four times what a chain hands over.
    pub written_body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            callouts: 1024,
            contexts: 65_536,
            log_lines: 1000,
            written_body: 64 << 20,
        }
    }
}

/// Bytes that a plugin writes into one request beside its bodies: headers,
/// variables, property values. nginx frees all of that, also what was
/// replaced, only with the request. As much as one map may hold.
pub const MAX_WRITTEN: usize = 1 << 20;

/// What each of these writes takes beside its bytes.
pub const WRITE_COST: usize = 64;

/// Bytes of the bodies and headers of a plugin's callouts in flight: a copy of
/// each is kept until the answer is there.
pub const MAX_CALLOUT_BYTES: usize = 64 << 20;

/// Bytes of `details` in a local response: it may become the reason phrase.
pub const MAX_DETAILS: usize = 1024;

/// Bytes of what a guest gives a foreign function: it is copied for Lua, and
/// `compress` takes its time for each.
pub const MAX_FOREIGN_ARGUMENT: usize = 32 << 20;

/// Bytes of one call of `proxy_log`: what is behind them is not looked at.
pub const MAX_LOG_TEXT: usize = 64 << 10;

/// Bytes of one line of it: OpenResty cuts the lines of error.log here, other
/// nginx earlier.
pub const MAX_LOG_LINE: usize = 4096;

/// Bytes of a guest's that are shown in a line of the log about it.
pub const MAX_SHOWN: usize = 256;

/// Bytes of the buffer for results that is kept for the next host function.
pub const MAX_IDLE_SCRATCH: usize = 1 << 20;

/// Bytes of shared state where there is no `lua_shared_dict` to bound it.
pub const MAX_HEAP_STORE: usize = 64 << 20;

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

/// Metrics of one plugin, those that found no room included: their numbers are
/// never given again, and all are looked through when metrics are read.
pub const MAX_METRICS: usize = 10_000;

/// A paused request waits this long before it is answered with 504
/// (milliseconds), where the plugin's options say nothing else.
pub const DEFAULT_PAUSE_TIMEOUT_MS: u32 = 60_000;

/// Milliseconds of CPU time that a callback may use, where the plugin's options
/// say nothing else. All other requests of the worker wait meanwhile, so nobody
/// wants more than some ten; a WAF with a large body, or the garbage collection
/// of native Go, may take a few hundred on a slow machine.
pub const DEFAULT_CPU_LIMIT_MS: u32 = 1000;

/// As [`DEFAULT_CPU_LIMIT_MS`], for what makes an instance: entry points,
/// `proxy_on_vm_start`, `proxy_on_configure`. A WAF compiles its rules there,
/// for seconds. More would lead nowhere: a worker makes one again and again
/// while a plugin fails.
pub const DEFAULT_START_CPU_LIMIT_MS: u32 = 10_000;

/// The least that a limit of CPU time can be: what ends at twice the limit must
/// be looked at several times until then.
pub const MIN_CPU_LIMIT_MS: u32 = 10;

/// Milliseconds between two looks at the clock, where limits are long: a
/// hundred times a second, by a thread, while guests are called.
pub const MAX_TICK_MS: u32 = 10;

/// As [`MAX_TICK_MS`], where they are short.
pub const MIN_TICK_MS: u32 = 1;

/// Bytes of linear memory of one instance, where the plugin's options say
/// nothing else. A native Go plugin starts with tens of MiB; a WAF with its
/// rules takes some hundred.
pub const DEFAULT_MEMORY_LIMIT: usize = 1 << 30;

/// Elements of all tables of an instance: the largest real plugins have some
/// ten thousand.
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

/// Milliseconds that a plugin whose instance has failed twice in a row has to
/// wait for the next one: the time doubles with every failure, from the first
/// of these to the second. A start can take a long time, and the worker has
/// other requests.
pub const MIN_BACK_OFF_MS: u32 = 100;
pub const MAX_BACK_OFF_MS: u32 = 30_000;

/// Milliseconds between two looks whether a module that a thread compiles is
/// there: nobody waits for it but timers.
pub const CODE_POLL_MS: u32 = 1000;

/// Queues of one VM id: their counters are never removed.
pub const MAX_QUEUES: u32 = 1000;

/// Bytes that `uncompress` gives: a few hundred may stand for a billion.
pub const MAX_UNCOMPRESSED: usize = 16 << 20;

/// Bytes of stack that a guest may use, whatever stack it runs on: as much as
/// wasmtime's default. The main thread has 8 MiB nearly everywhere.
pub const GUEST_STACK: usize = 512 << 10;

/// Bytes of a stack for calls that may wait for a Lua function: what a guest
/// may use ([`GUEST_STACK`]), and beyond it what the host functions need that it
/// calls. Only what was touched takes memory.
pub const WAITING_STACK: usize = 2 << 20;

/// Such stacks that are kept for the next call.
pub const MAX_IDLE_STACKS: usize = 16;

/// Bytes of a module that a worker compiles at once; a larger one takes more
/// than half a second, and is compiled in a thread while requests get the
/// failure policy.
pub const MAX_COMPILED_AT_ONCE: usize = 512 << 10;

/// Bytes of the stack of that thread: as nginx's own thread has.
pub const COMPILER_STACK: usize = 8 << 20;

/// Bytes of serialized code that one user keeps on disk: twenty of the largest
/// modules.
pub const MAX_CACHE: u64 = 1 << 30;

/// Bytes of address space from which on each memory may take 4 GiB of it
/// (`ulimit -v`): room for a hundred plugins and their predecessors while they
/// are reloaded. With less, code checks every access.
pub const AMPLE_ADDRESS_SPACE: u64 = 1 << 40;

/// Where address space is scarce: bytes kept free behind a memory, into which
/// it can grow without being copied.
pub const SCARCE_ROOM_TO_GROW: u64 = 8 << 20;

/// Where address space is scarce: bytes behind a memory that trap.
pub const SCARCE_GUARD: u64 = 64 << 10;

/// Bytes of one message of a gRPC callout's answer: as for other callouts.
pub const MAX_GRPC_MESSAGE: usize = 16 << 20;

/// Bytes that a plugin may have given a gRPC stream and the upstream has not
/// taken yet: one message of the largest size, and a little.
pub const MAX_GRPC_QUEUED: usize = 17 << 20;

/// Bytes of the headers or trailers of a gRPC answer.
pub const MAX_GRPC_METADATA: u32 = 64 << 10;

/// Bytes that a gRPC upstream may send ahead, for each stream and for all of a
/// connection.
pub const GRPC_WINDOW: u32 = 1 << 20;

/// gRPC calls of one instance at a time: each takes memory of the worker's.
pub const MAX_GRPC_CALLS: usize = 1000;

/// Calls that one connection carries at a time, where the upstream allows more:
/// they share its window.
pub const MAX_GRPC_STREAMS: usize = 100;

/// Connections of gRPC in one worker: each has a connection of nginx's, of which
/// the requests need some, too.
pub const MAX_GRPC_CONNECTIONS: usize = 128;

/// Calls that one connection carries before the next one is made: nginx frees
/// what reading and writing take from a timer's memory only when that is over.
pub const MAX_GRPC_CARRIED: u32 = 10_000;

/// Milliseconds that a connection is kept without a call: as other connections.
pub const GRPC_IDLE_MS: u32 = 60_000;
