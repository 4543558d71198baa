//! gRPC callouts: from what a guest asked for to the callbacks.

use std::time::Instant;

use super::error::Error;
use super::lifecycle::{Plugin, call};
use super::pause;
use super::run::Outcome;
use crate::abi::types::LogLevel;
use crate::callout::grpc::{Call, Event, Kind};
use crate::context::GrpcNews;

impl Plugin {
    /// What goes to a connection for this token. `None`: the guest wants it no
    /// more, or its instance was lost meanwhile.
    pub fn begin_grpc(&mut self, token: u32) -> Option<Call> {
        self.state().grpc.get_mut(&token)?.call.take()
    }

    /// True while the request that made a call is there.
    pub fn has_request(&mut self, token: u32) -> bool {
        let state = self.state();
        let origin = state.grpc.get(&token).map(|call| call.origin);
        let http = origin.and_then(|origin| state.contexts.http.get(&origin.http));
        http.is_some_and(|http| !http.request.ended())
    }

    /// Tells the guest what a call has come to, if it wants to know.
    pub fn deliver_grpc(&mut self, token: u32, event: Event) -> Outcome {
        let Some(asked) = self.state().grpc.get_mut(&token) else {
            return Ok(self.shared_flags());
        };
        let (root, http) = (asked.origin.root, asked.origin.http);
        let last = match &event {
            Event::Message(_) => asked.kind == Kind::Call,
            Event::Closed(_) => true,
            _ => false,
        };
        asked.over = last;
        let origin = asked.origin;
        if let Event::Closed(closed) = &event
            && closed.ours
        {
            let why = String::from_utf8_lossy(&closed.message).into_owned();
            let line = format!("a gRPC callout to {} failed: {why}", asked.upstream);
            let request = self.state().live_request(origin);
            self.log_in(request, LogLevel::Error, &line);
        }
        let is_background = self.state().live_request(origin).is_none();
        let tell = || self.guard(|plugin| plugin.call_back_grpc(root, token, event));
        let delivered = match is_background {
            true => pause::count(Instant::now(), tell),
            false => tell(),
        };
        if last {
            self.state().finish_grpc(token);
            self.go_on_after_callouts(http);
        }
        self.answer_the_hopeless();
        delivered?;
        Ok(self.shared_flags())
    }

    fn call_back_grpc(&mut self, root: u32, token: u32, event: Event) -> Result<(), Error> {
        if !self.state().contexts.roots.contains_key(&root) || !self.is_running() {
            return Ok(());
        }
        let news = &mut self.state().grpc_news;
        let result = match event {
            Event::InitialMetadata(pairs) => {
                let params = (root, token, pairs.len() as u32);
                news.initial_metadata = Some(pairs);
                self.call(root, "proxy_on_grpc_receive_initial_metadata", |running| {
                    call(
                        running,
                        |c| &c.proxy_on_grpc_receive_initial_metadata,
                        params,
                    )
                })
            }
            Event::Message(message) => {
                let params = (root, token, message.len() as u32);
                news.message = Some(message);
                self.call(root, "proxy_on_grpc_receive", |running| {
                    call(running, |c| &c.proxy_on_grpc_receive, params)
                })
            }
            Event::TrailingMetadata(pairs) => {
                let params = (root, token, pairs.len() as u32);
                news.trailing_metadata = Some(pairs);
                self.call(root, "proxy_on_grpc_receive_trailing_metadata", |running| {
                    call(
                        running,
                        |c| &c.proxy_on_grpc_receive_trailing_metadata,
                        params,
                    )
                })
            }
            Event::Closed(closed) => {
                news.status = closed.status;
                news.status_message = closed.message;
                let params = (root, token, closed.status);
                self.call(root, "proxy_on_grpc_close", |running| {
                    call(running, |c| &c.proxy_on_grpc_close, params)
                })
            }
        };
        self.state().grpc_news = GrpcNews::default();
        result.map(drop)
    }
}
