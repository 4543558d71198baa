//! Which callbacks a context may still get: each kind runs once per context,
//! and only in its order.

use crate::host;

/// The callbacks of an http context, in the order in which they may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    Created,
    RequestHeaders,
    RequestBody,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
    Done,
}

impl Stage {
    /// True when a callback of `next` may run after one of `self`. Bodies come
    /// in several pieces; everything else comes once. A response may come
    /// without request callbacks (`return 200`).
    pub fn may_reach(self, next: Stage) -> bool {
        match next {
            Stage::Created => false,
            Stage::RequestBody | Stage::ResponseBody => self <= next,
            _ => self < next,
        }
    }

    /// True when nginx can run a callback of this stage in `phase`.
    pub fn allowed_in(self, phase: host::Phase) -> bool {
        match self {
            Stage::RequestHeaders | Stage::RequestBody => {
                matches!(phase, host::Phase::Request | host::Phase::Content)
            }
            Stage::ResponseHeaders => phase == host::Phase::HeaderFilter,
            Stage::ResponseBody | Stage::ResponseTrailers => phase == host::Phase::BodyFilter,
            Stage::Done => phase == host::Phase::Log,
            Stage::Created => phase != host::Phase::Other,
        }
    }

    /// For the operator: what runs in which phases.
    pub fn place(self) -> &'static str {
        match self {
            Stage::Created => "a context can be made in any phase of a request",
            Stage::RequestHeaders => {
                "request headers can be handled in rewrite, access and content"
            }
            Stage::RequestBody => "a request body can be handled in rewrite, access and content",
            Stage::ResponseHeaders => "response headers can be handled in header_filter",
            Stage::ResponseBody | Stage::ResponseTrailers => {
                "a response body can be handled in body_filter"
            }
            Stage::Done => "the end of a request can be handled in log",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Stage::{self, *};

    /// Rows: after this stage; columns: may this one run?
    #[test]
    fn every_transition_is_as_the_table_says() {
        const STAGES: [Stage; 7] = [
            Created,
            RequestHeaders,
            RequestBody,
            ResponseHeaders,
            ResponseBody,
            ResponseTrailers,
            Done,
        ];
        const TABLE: [[u8; 7]; 7] = [
            [0, 1, 1, 1, 1, 1, 1],
            [0, 0, 1, 1, 1, 1, 1],
            [0, 0, 1, 1, 1, 1, 1],
            [0, 0, 0, 0, 1, 1, 1],
            [0, 0, 0, 0, 1, 1, 1],
            [0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 0, 0],
        ];
        for (from, row) in STAGES.iter().zip(TABLE) {
            for (to, allowed) in STAGES.iter().zip(row) {
                assert_eq!(from.may_reach(*to), allowed == 1, "{from:?} -> {to:?}");
            }
        }
    }
}
