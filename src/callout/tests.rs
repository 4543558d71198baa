//! What callouts promise, as tables.

mod exchange;
mod hostile;
mod request;
mod target;
mod tls;
mod upstream;
