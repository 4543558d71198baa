//! Plugins: a module, an instance, its contexts and what is done when one of
//! them fails.
#![forbid(unsafe_code)]

mod back_off;
pub mod callout;
pub mod capabilities;
pub mod clock;
pub mod connections;
pub mod error;
pub mod failure;
pub mod foreign;
mod grpc;
mod late;
pub mod lifecycle;
pub mod link;
mod load;
mod news;
mod pause;
pub mod registry;
mod response_body;
mod room;
pub mod run;
mod status;
mod wait;
pub mod wants;

pub use crate::vm::Stack;
pub use crate::vm::cache::{How, takes_long};
pub use capabilities::Capabilities;
pub use error::Error;
pub use failure::Policy;
pub use lifecycle::{Options, Plugin};
pub use run::{Flags, Outcome};
pub use status::Status;
pub use wants::Wants;
