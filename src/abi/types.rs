//! The closed enumerations of the specification.

/// Makes an enum of the specification with its conversion from a guest's u32.
macro_rules! spec_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)* }

        impl TryFrom<u32> for $name {
            type Error = crate::abi::Status;

            fn try_from(number: u32) -> Result<Self, crate::abi::Status> {
                match number {
                    $($number => Ok($name::$variant),)*
                    _ => Err(crate::abi::Status::BadArgument),
                }
            }
        }
    };
}

spec_enum! {
    /// `proxy_log_level_t`.
    LogLevel { Trace = 0, Debug = 1, Info = 2, Warn = 3, Error = 4, Critical = 5, }
}

spec_enum! {
    /// `proxy_buffer_type_t`.
    BufferType {
        HttpRequestBody = 0,
        HttpResponseBody = 1,
        DownstreamData = 2,
        UpstreamData = 3,
        HttpCallResponseBody = 4,
        GrpcCallMessage = 5,
        VmConfiguration = 6,
        PluginConfiguration = 7,
        CallData = 8,
    }
}

spec_enum! {
    /// `proxy_header_map_type_t`.
    MapType {
        HttpRequestHeaders = 0,
        HttpRequestTrailers = 1,
        HttpResponseHeaders = 2,
        HttpResponseTrailers = 3,
        GrpcCallInitialMetadata = 4,
        GrpcCallTrailingMetadata = 5,
        HttpCallResponseHeaders = 6,
        HttpCallResponseTrailers = 7,
        /// The oldest Rust SDK's number for the trailers of a callout's answer.
        LegacyHttpCallResponseTrailers = 8,
    }
}

spec_enum! {
    /// `proxy_metric_type_t`.
    MetricType { Counter = 0, Gauge = 1, Histogram = 2, }
}

spec_enum! {
    /// `proxy_stream_type_t`.
    StreamType {
        HttpRequest = 0,
        HttpResponse = 1,
        Downstream = 2,
        Upstream = 3,
    }
}

/// What a header or body callback asks for (`proxy_action_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Continue,
    Pause,
}

impl Action {
    /// What a body callback asks for: everything but 0 holds the body back.
    pub fn of_body(number: u32) -> Self {
        match number {
            0 => Action::Continue,
            _ => Action::Pause,
        }
    }
}

impl From<u32> for Action {
    /// What a header callback asks for. 0 continues and so does 2 (continue and end the stream), everything
    /// else stops iteration in one of Envoy's ways, which nginx cannot tell
    /// apart: the request waits.
    fn from(number: u32) -> Self {
        match number {
            0 | 2 => Action::Continue,
            _ => Action::Pause,
        }
    }
}
