//! The C interface: the only exported symbols.
//!
//! # Conventions
//!
//! * Every name begins with `rpw_`. Every function is called from the one
//!   thread of an nginx worker, and catches every panic.
//! * A handle that a `_load` or `_new` function gives is the caller's, who
//!   gives it back once with the `_free` function of its type. Handles keep
//!   what they need alive: they may be freed in any order.
//! * Strings are a pointer and a length, borrowed for the call; NULL with
//!   length 0 is an empty one. What is handed out is valid until the next call
//!   of the same function.
//! * A function that can fail gives NULL or a negative number; `rpw_error`
//!   then has the sentence.
//! * `request` is nginx's `ngx_http_request_t *`.

mod callout;
mod connection;
mod effect;
mod error;
mod foreign;
mod handle;
mod plugin;
mod request;
mod status;
mod timers;
mod tls;

pub use callout::*;
pub use effect::*;
pub use error::*;
pub use foreign::*;
pub use handle::*;
pub use plugin::*;
pub use request::*;
pub use status::*;
pub use timers::*;
pub use tls::*;
