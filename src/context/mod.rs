//! The state machine of contexts, sans-IO: what a plugin's contexts are doing,
//! and what is to be done for them.
#![forbid(unsafe_code)]

pub mod contexts;
pub mod effect;
pub mod foreign;
mod front_map;
mod grpc;
pub mod hasher;
pub mod http_contexts;
pub mod log;
pub mod phase;
pub mod request;
mod shared;
pub mod state;

pub use contexts::{Contexts, HttpContext, Ids, RootContext};
pub use effect::{Effect, LocalResponse, SharedEffects};
pub use grpc::{GrpcCall, GrpcNews};
pub use phase::Stage;
pub use request::RequestState;
pub use state::{Callout, Current, Origin, PluginInfo, State};
