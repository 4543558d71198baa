//! The end of an instance.
#![forbid(unsafe_code)]

/// Why a guest call did not return: a trap, an exit, a panic of the host. The
/// instance must not be used again.
#[derive(Debug)]
pub struct Trap {
    /// The cause, and behind it the guest's stack, for the log.
    pub message: String,
    /// The guest asked for it with `proc_exit`.
    pub exit: Option<i32>,
}

/// What a host function raises to end the guest call (`proc_exit`).
#[derive(Debug)]
pub struct Exit(pub i32);

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the guest exited with status {}", self.0)
    }
}

impl std::error::Error for Exit {}

impl From<wasmtime::Error> for Trap {
    fn from(error: wasmtime::Error) -> Self {
        let exit = error.downcast_ref::<Exit>().map(|exit| exit.0);
        let mut message = String::new();
        // The innermost cause first: log lines are cut at 2048 bytes.
        message.push_str(&error.root_cause().to_string());
        if let Some(backtrace) = error.downcast_ref::<wasmtime::WasmBacktrace>() {
            message.push('\n');
            message.push_str(&backtrace.to_string());
        }
        Trap { message, exit }
    }
}

impl Trap {
    /// The cause alone, in one line.
    pub fn cause(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// The guest was refused this in the call that ended.
    pub(super) fn behind_refusal(mut self, of: &str) -> Self {
        let end = self.cause().len();
        let refusal = format!(", after it was refused more {of}");
        self.message.insert_str(end, &refusal);
        self
    }

    /// What the host could not do.
    pub(super) fn of_host(message: String) -> Self {
        Trap {
            message,
            exit: None,
        }
    }

    /// A Rust panic in the host, caught at the edge of the guest call or beyond.
    pub fn from_panic(payload: Box<dyn std::any::Any + Send>) -> Self {
        let cause = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Trap::of_host(format!("the host panicked: {cause}"))
    }
}
