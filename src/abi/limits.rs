//! Every limit that the library holds, with its reason. What Lua holds of them it
//! reads as constants of the C interface; what it keeps for its next use alone,
//! names and semaphores, has its number where it is kept.

/// What an operator may set for each plugin, by the options of these names
/// with `max_` before them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Callouts in flight, per worker, HTTP and gRPC together: as many requests
    /// as a cluster of Envoy's takes. Those of HTTP have a connection of nginx's
    /// each, those of gRPC share some.
    pub callouts: u32,
    /// Bytes of the bodies and headers of callouts in flight, of which a copy is
    /// kept until the answer is there; as many of gRPC messages that upstreams
    /// have not taken; and as many of what has come of all answers under way.
    /// Four of the largest answers.
    pub callout_bytes: usize,
    /// Bytes of the answer of a callout, body and head together, or of one
    /// message of a gRPC callout's: as a plugin's own bodies elsewhere.
    pub callout_response: usize,
    /// Http contexts alive, per worker: more requests than any but the largest
    /// gateways have in one worker, and some ten MiB of the library's memory.
    pub contexts: u32,
    /// Lines of the log within one second, per worker: the file is everybody's,
    /// and each line is a system call. What is over it is counted and told.
    pub log_lines: u32,
    /// Bytes of a request body that the plugin is given: it is whole in memory,
    /// and once more in the plugin's. nginx itself takes 1 MiB where
    /// `client_max_body_size` says nothing else.
    pub request_body: usize,
    /// Bytes of a body after the plugin has written to it, or of one that it
    /// makes: four times what it is given.
    pub written_body: usize,
    /// Bytes that a plugin writes into one request beside its bodies: headers,
    /// variables, property values. nginx frees all of that, also what was
    /// replaced, only with the request. As much as one map may hold.
    pub written_headers: usize,
    /// Elements of all tables of an instance: the largest real plugins have some
    /// ten thousand. Each takes eight bytes of the library's memory.
    pub table_elements: u32,
    /// Bytes of a key of shared data, [`MAX_SHARED_KEY`] at most.
    pub shared_key: usize,
    /// Bytes of a value of shared data or of an item in a queue.
    pub shared_value: usize,
    /// Bytes that shared data, queues and metrics of a plugin, or of all of a VM
    /// id, take of the store; `None`: half of it. Others are to find some.
    pub shared_bytes: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            callouts: 256,
            callout_bytes: 64 << 20,
            callout_response: 16 << 20,
            contexts: 65_536,
            log_lines: 1000,
            request_body: 16 << 20,
            written_body: 64 << 20,
            written_headers: 1 << 20,
            table_elements: 1_000_000,
            shared_key: MAX_SHARED_KEY,
            shared_value: 1 << 20,
            shared_bytes: None,
        }
    }
}

/// What each write into a request takes beside its bytes.
pub const WRITE_COST: usize = 64;

/// Bytes of `details` in a local response: it may become the reason phrase.
pub const MAX_DETAILS: usize = 1024;

/// Bytes of what a guest gives a foreign function: it is copied for Lua.
pub const MAX_FOREIGN_ARGUMENT: usize = 32 << 20;

/// Bytes of one call of `proxy_log`: what is behind them is not looked at.
pub const MAX_LOG_TEXT: usize = 64 << 10;

/// Bytes of one line of it: OpenResty cuts the lines of error.log here, other
/// nginx earlier.
pub const MAX_LOG_LINE: usize = 4096;

/// Lines of the log about one trap: its cause and the guest's stack, of which the
/// engine shows 20 frames. Names in it are the guest's own, and may be of lines.
pub const MAX_TRAP_LINES: usize = 32;

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

/// Metrics of one plugin: they are never removed, and all are looked through
/// when metrics are read.
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

/// Bytes of a key of shared data, whatever a plugin's options say:
/// lua-nginx-module's own limit is 65,535, and the scope and what claims need
/// stand beside it.
pub const MAX_SHARED_KEY: usize = 32 << 10;

/// Bytes of a queue's name.
pub const MAX_QUEUE_NAME: usize = 1024;

/// Milliseconds between two looks at a number that says whether anything was
/// enqueued: 20 times a second, while a queue is registered.
pub const QUEUE_POLL_MS: u32 = 50;

/// Milliseconds after which a worker looks at its queues themselves, whatever
/// that number says: a worker that was killed can have enqueued something and
/// not counted it.
pub const QUEUE_LOOK_MS: u64 = 1000;

/// Calls of `proxy_on_queue_ready` that one look may lead to, per queue: the
/// worker has requests, too.
pub const MAX_QUEUE_NEWS: u64 = 1000;

/// Milliseconds after which a plugin begins no more of what comes without a
/// request, and a worker no more plugins' ticks and queue news, for the same
/// reason: the rest comes next time. So one time takes no longer than that and
/// one callback.
pub const TURN_MS: u64 = 5;

/// Milliseconds of CPU time without a request that no pause follows: most
/// take far less, and nginx's timers have no finer steps.
pub const NO_PAUSE_BELOW_MS: u64 = 1;

/// Milliseconds that a plugin whose instance has failed twice in a row has to
/// wait for the next one: the time doubles with every failure, from the first
/// of these to the second. A start can take a long time, and the worker has
/// other requests.
pub const MIN_BACK_OFF_MS: u32 = 100;
pub const MAX_BACK_OFF_MS: u32 = 30_000;

/// Milliseconds of CPU time from which on a start is long: then there is no
/// other for as long again. A shorter one costs others less than a callback may.
pub const LONG_START_MS: u32 = 50;

/// Milliseconds between two looks whether a module that a thread compiles is
/// there: nobody waits for it but timers.
pub const CODE_POLL_MS: u32 = 1000;

/// Queues of one VM id: their counters are never removed.
pub const MAX_QUEUES: u32 = 1000;

/// Bytes that `uncompress` gives: a few hundred may stand for a billion.
pub const MAX_UNCOMPRESSED: usize = 16 << 20;

/// Bytes of stack that a guest may use, whatever stack it runs on, where the
/// plugin's options say nothing else: as much as wasmtime's default. The main
/// thread has 8 MiB nearly everywhere. What a language calls its stack is mostly
/// linear memory, and bounded by the plugin's `memory_limit`.
pub const GUEST_STACK: usize = 512 << 10;

/// The least that it is, also where the main thread has little (`ulimit -s`):
/// guests have their large objects in their own memory.
pub const MIN_GUEST_STACK: usize = 64 << 10;

/// The most that it can be: half of what the main thread mostly has.
pub const MAX_GUEST_STACK: usize = 4 << 20;

/// Bytes of the main thread's stack that nginx, Lua and the host functions may
/// need beside a guest: `compress` alone takes 64 KiB.
pub const HOST_STACK: usize = 192 << 10;

/// Bytes of a stack for calls that may wait for a Lua function, beyond those
/// that a guest may use: what the host functions need that it calls. Only what
/// was touched takes memory.
pub const WAITING_STACK: usize = 1536 << 10;

/// Such stacks that are kept for the next call.
pub const MAX_IDLE_STACKS: usize = 16;

/// Bytes of a module that a worker reads and compiles at once, so that what is
/// wrong with it is said at once; a larger one takes more than half a second,
/// and a thread does it while requests get the failure policy.
pub const MAX_COMPILED_AT_ONCE: i32 = 512 << 10;

/// Milliseconds that compiling a module may take, as the library estimates it,
/// for a worker to do it at once: twice what so many bytes of usual code are
/// estimated at. Ten hostile kilobytes can take minutes.
pub const COMPILED_AT_ONCE_MS: u64 = 1000;

/// Large modules that a worker keeps although no plugin uses them: those that
/// were loaded last, as the next one to load them would have to wait.
pub const MAX_UNUSED_MODULES: usize = 4;

/// Bytes of a module: as many as the engine reads.
pub const MAX_MODULE: u64 = 1 << 30;

/// Bytes of memory that compiling a module may take, as the library estimates it
/// (src/vm/effort), where the plugin's options say nothing else: twice what the
/// largest real modules take. 23 MB of native Go are estimated at 450 MiB, 300
/// KB of Rust at 20; ten hostile kilobytes can take all that a machine has.
pub const COMPILE_MEMORY: usize = 1 << 30;

/// Milliseconds of CPU time that compiling a module may take, as the library
/// estimates it, where the plugin's options say nothing else: some times what
/// 23 MB of native Go take, which are half a minute. The master has no thread
/// for it, and in a worker nobody can end one.
pub const COMPILE_TIME_MS: u32 = 120_000;

/// Modules that the threads of one worker compile at once. With one, all plugins
/// would wait for a hostile module, for minutes; with this many, it takes as many
/// of those. Each takes memory up to its plugin's `max_compile_memory`, and a part
/// of the worker's processor. Each module is one worker's: more workers compile
/// more of them, and none twice.
pub const MAX_COMPILERS: usize = 4;

/// Bytes of stack for the compiler: as nginx's own thread has nearly everywhere.
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

/// Bytes that a plugin may have given a gRPC stream and the upstream has not
/// taken yet: one message of the largest size, and a little.
pub const MAX_GRPC_QUEUED: usize = 17 << 20;

/// Bytes of the headers or trailers of a gRPC answer.
pub const MAX_GRPC_METADATA: u32 = 64 << 10;

/// Bytes that a gRPC upstream may send ahead, for each stream and for all of a
/// connection.
pub const GRPC_WINDOW: u32 = 1 << 20;

/// Calls that one connection carries at a time, where the upstream allows more:
/// they share its window.
pub const MAX_GRPC_STREAMS: usize = 100;

/// Connections of gRPC in one worker: each has a connection of nginx's, of which
/// the requests need some, too.
pub const MAX_GRPC_CONNECTIONS: usize = 128;

/// Calls that one connection carries before the next one is made: nginx frees
/// what reading and writing take from a timer's memory only when that is over.
pub const MAX_GRPC_CARRIED: u32 = 10_000;

/// Ids of ended http contexts that a root context gives again, where it does.
pub const MAX_FREE_IDS: usize = 10_000;

/// Milliseconds that a connection is kept without a call: as other connections.
pub const GRPC_IDLE_MS: u32 = 60_000;

/// Milliseconds without a byte from the upstream after which a connection with
/// open calls asks whether anybody is there, by a ping. The usual gRPC servers
/// close connections that ask more often than every five minutes.
pub const GRPC_PING_AFTER_MS: u32 = 310_000;

/// Milliseconds that the upstream has to answer that with anything, and to shake
/// hands of TLS in: then its calls fail.
pub const GRPC_SILENCE_MS: u32 = 20_000;

/// Values for one key of shared data that are refused in a row, in one callback,
/// as if another had been faster: a guest that tries again until it succeeds
/// would else do so for as long as its CPU time lasts.
pub const MAX_REFUSED: u32 = 16;

/// Bytes of the head of a callout's answer, with the interim answers before it;
/// and bytes of its trailer section. Servers hold back far earlier (8 to 64 KiB).
pub const MAX_HEAD: usize = 64 << 10;

/// Fields in such a head, and in a trailer section. Envoy takes 100.
pub const MAX_HEADERS: usize = 128;

/// Bytes of a line that says how long a chunk of an answer is: it may have
/// extensions, of which nobody makes use.
pub const MAX_SIZE_LINE: usize = 1024;

/// Bytes of a host name: as many as in DNS.
pub const MAX_HOST: usize = 253;

/// Bytes of the path of a unix socket: Linux's `sun_path` less its NUL.
pub const MAX_UNIX_PATH: usize = 107;

/// Milliseconds that a callout may take, where the plugin names no time: as
/// nginx's own timeouts of upstreams.
pub const DEFAULT_CALLOUT_TIMEOUT_MS: u32 = 60_000;

/// Bytes that one `fd_write` takes; the guest comes again with the rest, as
/// with a pipe. Time spent in a host function has to have an end of its own:
/// the clock is not looked at there.
pub const MAX_WASI_WRITE: usize = 64 << 10;

/// Buffers that one `fd_write` looks at: Linux's IOV_MAX. They may be empty,
/// so [`MAX_WASI_WRITE`] alone is no end.
pub const MAX_WASI_BUFFERS: u32 = 1024;

/// Bytes that wait to be sent on a gRPC connection before HTTP/2 has to: a
/// quarter of the window.
pub const MAX_GRPC_UNSENT: usize = 256 << 10;

/// Times that a gRPC call goes over another connection, because its own was
/// closed before the upstream had it, until it fails.
pub const MAX_GRPC_RETURNS: u32 = 3;

/// Rounds in which the parts of a gRPC connection wake each other; a few are
/// enough, and without an end there would be none where they never rest.
pub const MAX_GRPC_ROUNDS: usize = 1000;

/// Timers that perform callouts at a time, per worker: each has cosockets that
/// wait, and nginx allows 256 running timers of everybody (lua_max_running_timers).
pub const MAX_CALLOUT_TIMERS: i32 = 64;

/// Idle connections that are kept to one place: about as many as
/// lua-nginx-module keeps by default.
pub const MAX_IDLE_CONNECTIONS: i32 = 32;

/// Milliseconds that an idle connection is kept: as lua-nginx-module's default.
pub const IDLE_MS: i32 = 60_000;

/// Idle connections with TLS of our own, to all places together: each has its
/// keys in memory.
pub const MAX_IDLE_TLS: i32 = 256;

/// Looks at a claim of another writer of shared data before giving up: some ten
/// milliseconds. Its owner was stopped, and the worker has other requests.
pub const MAX_CLAIM_LOOKS: u32 = 20_000;

/// Times that many looks for an item of a queue that a plugin cannot take: it
/// would be lost.
pub const MAX_PUT_BACKS: u32 = 10;

/// Bytes of a key of the dict: lua-nginx-module refuses longer ones.
pub const MAX_DICT_KEY: usize = 65_535;

/// Links that may lead to a folder for compiled code: as many as Linux follows.
pub const MAX_LINKS: u32 = 40;

/// Ticks for which a guest call may go on before it looks at the clock again.
/// When the ticker falls asleep it makes as many at once: whoever is still
/// inside a guest then looks, and wakes it.
pub const MAX_TICKS: u64 = 64;

/// Lists of headers that are kept for the next ones: more than a few requests
/// at a time are seldom in their header filter.
pub const MAX_SPARE_LISTS: usize = 16;

/// Bytes above which such a list is not kept.
pub const MAX_SPARE_LIST_BYTES: usize = 64 << 10;

/// States of requests that are kept for the next ones: more are seldom in one
/// worker at a time.
pub const MAX_SPARE_REQUESTS: usize = 64;

/// Properties that a root context declares, and bytes of the name of one: they
/// are kept as long as its instance.
pub const MAX_DECLARED: usize = 1000;
pub const MAX_DECLARED_NAME: usize = 1024;
